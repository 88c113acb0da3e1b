"""The ledger of paid calls."""

from storage.ledger.ledger import Ledger
from storage.ledger.records import Attempt, Batch, Bought, Claim, End, Spent, Start

__all__ = ["Attempt", "Batch", "Bought", "Claim", "End", "Ledger", "Spent", "Start"]
