"""The ledger of paid calls."""

from routecal.storage.ledger.ledger import Ledger
from routecal.storage.ledger.records import Attempt, Batch, Bought, Claim, End, Spent, Start

__all__ = ["Attempt", "Batch", "Bought", "Claim", "End", "Ledger", "Spent", "Start"]
