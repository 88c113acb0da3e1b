"""Methods compared on the same test rows, over several training seeds and several sets.

`resampled` holds what metrics measure on resampled queries, `pooled` makes intervals of it over queries and seeds, and
`ranks` says which methods are first, and which tie.
"""

from routecal.calib.comparison.pooled import mean_over, over_seeds, tied_methods
from routecal.calib.comparison.ranks import Rank, rank
from routecal.calib.comparison.resampled import COMPARED, Resampled, minus, paired_counts, resample

__all__ = [
    "COMPARED",
    "Rank",
    "Resampled",
    "mean_over",
    "minus",
    "over_seeds",
    "paired_counts",
    "rank",
    "resample",
    "tied_methods",
]
