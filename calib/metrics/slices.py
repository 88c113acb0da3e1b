"""The same numbers for every part of the rows: a policy, a topic, a split, a decile of lengths."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from routecal.calib.checks import checked
from routecal.calib.errors import LengthMismatch, OutOfRange
from routecal.calib.metrics.summary import Summary, summarise


def by_slice(
    p: ArrayLike,
    y: ArrayLike,
    labels: ArrayLike,
    *,
    level: float = 0.95,
    is_simultaneous: bool = False,
    n_replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Summary]:
    """`summarise` for the rows of each label: calibration that holds on average can fail for every group.

    Slices are small, so their noise bands are wide: read `ece_in_noise_band` and `n` before any ECE. With k slices and
    95% intervals, expect k/20 to miss by chance; `is_simultaneous` widens them by Bonferroni, so that all hold at once
    with `level`.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.
        labels: (n,) what slice each row belongs to; anything that can be printed.
        level: coverage of each interval, or of all together.
        is_simultaneous: use 1 - (1 - level) / k for each of k slices.
        n_replicates: resamples per slice; at least 100 / (1 - level) to resolve the ends.
        seed: of the private generators.

    Returns:
        By label, in the order of the labels' values.

    Raises:
        LengthMismatch: there are not as many labels as rows.
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> table = by_slice([0.5, 0.5, 0.9], [0, 1, 1], ["b", "b", "a"], n_replicates=20)
    >>> {label: (s.n, s.brier.value) for label, s in table.items()}
    {'a': (1, 0.009999999999999995), 'b': (2, 0.25)}
    """
    p, y = checked(p, y)
    labels = np.asarray(labels)
    if labels.shape != p.shape:
        raise LengthMismatch("labels", labels.size, "p", len(p))
    found = np.unique(labels)
    level = 1 - (1 - level) / len(found) if is_simultaneous else level
    return {
        str(label): summarise(p[rows], y[rows], level=level, n_replicates=n_replicates, seed=seed)
        for label in found
        for rows in (labels == label,)
    }


def deciles(values: ArrayLike, *, n_slices: int = 10) -> NDArray[np.str_]:
    """A label for each value by its rank, as equal in number as ties allow: what to slice by length with.

    Equal values share a slice, the one of the first of them, so some slices may be missing.

    Args:
        values: (n,) numbers, such as the length of each query in tokens.
        n_slices: how many.

    Returns:
        (n,) labels "01 3-17", the number of the slice and its least and greatest value, which sort as the slices do.

    Raises:
        OutOfRange: a value is NaN or infinite.

    >>> deciles([5, 1, 9, 7], n_slices=2).tolist()
    ['1 1-5', '1 1-5', '2 7-9', '2 7-9']
    """
    values = np.asarray(values)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise OutOfRange(f"values[{bad[0]}]", float(values[bad[0]]), "finite numbers")
    below = np.searchsorted(np.sort(values), values, side="left")
    slices = below * n_slices // max(len(values), 1)
    width = len(str(n_slices))
    names = {
        int(s): f"{int(s) + 1:0{width}d} {values[slices == s].min():g}-{values[slices == s].max():g}"
        for s in np.unique(slices)
    }
    return np.array([names[int(s)] for s in slices], dtype=np.str_)
