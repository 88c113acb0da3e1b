"""The ledger of paid calls."""

from routecal.storage.ledger.ledger import Ledger
from routecal.storage.ledger.records import Attempt, Batch, CallEnd, CallStart, Claim, PaidResponse, Spent

__all__ = ["Attempt", "Batch", "CallEnd", "CallStart", "Claim", "Ledger", "PaidResponse", "Spent"]
