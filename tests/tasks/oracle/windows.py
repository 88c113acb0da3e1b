"""What was admitted when, and the most that any window holds of it, counted the slow way."""

from dataclasses import dataclass


@dataclass
class Admitted:
    at: float
    amount: int


def fullest(log: list[Admitted], window_s: float) -> int:
    """The largest sum in any half-open window of that length; it begins at some admission."""
    best = total = first = 0
    ordered = sorted(log, key=lambda a: a.at)
    for last in ordered:
        total += last.amount
        while ordered[first].at <= last.at - window_s:
            total -= ordered[first].amount
            first += 1
        best = max(best, total)
    return best
