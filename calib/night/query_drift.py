"""Have queries, or what the head says of them, changed since it was trained? Two-sample tests, no labels needed.

Rabanser et al. 2019 (arXiv:1810.11953): univariate Kolmogorov-Smirnov tests with Bonferroni, on what the model puts
out and on few principal components, find shifts as well as multivariate tests do. A shift of P(right | query) alone
shows in no feature: only labels find it, which is why a quiet spell must end.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field
from scipy.stats import ks_2samp

from routecal.calib.checks import FloatArray
from routecal.calib.errors import LengthMismatch

# Rows on either side below which nothing is found: with 12 columns KS would see only distances above .6 there.
MIN_ROWS = 30
COMPONENTS = 8


class Drift(BaseModel, frozen=True):
    """The most conspicuous column, and whether chance explains it."""

    column: str = Field(description="whose distribution changed most")
    statistic: float = Field(description="largest distance of the two distribution functions, in [0, 1]")
    p_value: float = Field(description="of it, times the number of columns (Bonferroni), at most 1")
    is_found: bool = Field(description="p_value is below alpha")
    n_before: int
    n_now: int


def drift(before: dict[str, FloatArray], now: dict[str, FloatArray], *, alpha: float = 0.01) -> Drift:
    """The column whose distribution changed most between two samples.

    Fewer than 30 rows on a side are no evidence of anything: nothing is found.

    Args:
        before: columns (n,) of the rows that the head is known on.
        now: the same columns (m,) of new rows.
        alpha: share of nights without any change on which one is found all the same, at most.

    Raises:
        LengthMismatch: the columns differ in name, or one has another number of rows than the others.

    >>> same = {"p": np.linspace(0, 1, 50)}
    >>> drift(same, same).is_found, drift(same, {"p": np.linspace(0.5, 1, 50)}).is_found
    (False, True)
    """
    if set(before) != set(now):
        raise LengthMismatch("columns before", len(before), "columns now", len(now))
    n, m = (_rows(side) for side in (before, now))
    if min(n, m) < MIN_ROWS:
        return Drift(column="", statistic=0.0, p_value=1.0, is_found=False, n_before=n, n_now=m)
    found = {name: ks_2samp(before[name], now[name]) for name in before}
    column = min(found, key=lambda name: (found[name].pvalue, name))
    p_value = min(1.0, float(found[column].pvalue) * len(found))
    return Drift(
        column=column,
        statistic=float(found[column].statistic),
        p_value=p_value,
        is_found=p_value < alpha,
        n_before=n,
        n_now=m,
    )


def columns(
    hidden: ArrayLike, logits: ArrayLike, p: ArrayLike, *, axes: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """What is watched of each row: confidence, the router's log probabilities, and components of the hidden state.

    Args:
        hidden: (n, d).
        logits: (n, c) of the router.
        p: (n,) confidence.
        axes: (k, d) directions, as `principal_axes` finds them on the rows of before.
    """
    z = np.asarray(logits, dtype=np.float64)
    log_q = z - np.logaddexp.reduce(z, axis=1, keepdims=True)
    projected = np.asarray(hidden, dtype=np.float64) @ axes.T
    named = {"confidence": np.asarray(p, dtype=np.float64)}
    named |= {f"log probability of policy {i}": column for i, column in enumerate(log_q.T)}
    return named | {f"component {i + 1} of the hidden state": column for i, column in enumerate(projected.T)}


def principal_axes(hidden: ArrayLike, *, k: int = COMPONENTS) -> NDArray[np.float64]:
    """(k, d) leading directions of the centred rows of hidden (n, d), fewer where n or d are; unit length."""
    h = np.asarray(hidden, dtype=np.float64)
    _, _, axes = np.linalg.svd(h - h.mean(axis=0), full_matrices=False)
    return np.asarray(axes[: min(k, len(axes))])


def _rows(side: dict[str, FloatArray]) -> int:
    lengths = {name: len(column) for name, column in side.items()}
    first = next(iter(lengths), "")
    for name, length in lengths.items():
        if length != lengths[first]:
            raise LengthMismatch(name, length, first, lengths[first])
    return lengths.get(first, 0)
