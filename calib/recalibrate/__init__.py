"""Recalibrators: non-decreasing maps p -> p fitted on held-out rows, chosen by cross-validated log loss.

A family is one file: a frozen dataclass with `name`, `__call__` and JSON fields, and a fit (p, y) -> instance. To add
one, write the file and give it one row of the table in `registry`; a family is imported from its file. A fit imports
optimisers and scikit-learn where it runs: a head that is only served applies a map and fits none, and opens in half the
time without them.
"""

from routecal.calib.recalibrate.choose import Candidate, Choice, choose_recalibrator
from routecal.calib.recalibrate.identity import Identity
from routecal.calib.recalibrate.registry import (
    FAMILIES,
    LEAST_ROWS,
    RECALIBRATORS,
    Recalibrator,
    from_json,
    get_recalibrator,
    to_json,
)

__all__ = [
    "FAMILIES",
    "LEAST_ROWS",
    "RECALIBRATORS",
    "Candidate",
    "Choice",
    "Identity",
    "Recalibrator",
    "choose_recalibrator",
    "from_json",
    "get_recalibrator",
    "to_json",
]
