"""Methods compared on the same test rows, over several training seeds and several sets.

`resampled` holds what metrics measure on resampled queries, `pooled` makes intervals of it over queries and seeds, and
`ranks` says which methods are first, and which tie.
"""

from calib.comparison.pooled import Pooled, mean_over, over_seeds
from calib.comparison.ranks import Rank, rank
from calib.comparison.resampled import RESAMPLED, Resampled, cluster_counts, minus, resample

__all__ = [
    "RESAMPLED",
    "Pooled",
    "Rank",
    "Resampled",
    "cluster_counts",
    "mean_over",
    "minus",
    "over_seeds",
    "rank",
    "resample",
]
