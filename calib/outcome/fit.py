"""Fit the outcome head: cross-fitted multinomial regressions, their penalty by held-out log loss of the cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits

from routecal.calib.checks import FloatArray
from routecal.calib.outcome.cells import Cells
from routecal.calib.outcome.head import Blocks, OutcomeHead, Reader
from routecal.calib.outcome.inputs import OutcomeInputs
from routecal.calib.outcome.multinomial import fit_multinomial, log_odds
from routecal.calib.outcome.start import OutcomeStart

if TYPE_CHECKING:
    from routecal.calib.outcome.utility_rl import UtilityConfig

# Penalties tried, from strong to weak until the held-out loss rises; each fit begins where the stronger one ended.
PENALTIES = (10_000.0, 3_000.0, 1_000.0, 300.0, 100.0, 30.0, 10.0)
STARTS = ("base rates", "router")


class Tried(NamedTuple):
    """One block, start and penalty that cross-validation looked at; mean held-out log loss of the cells in nats."""

    block: str
    start: str
    penalty: float
    log_loss: float


@dataclass(frozen=True)
class OutcomeFit:
    """A fitted head, and all that was tried for it: of every block it holds the start and penalty of least log loss."""

    head: OutcomeHead
    table: tuple[Tried, ...]


def fit_outcome(
    blocks: Blocks,
    logits: NDArray[np.floating],
    cell: NDArray[np.int64],
    fold: NDArray[np.int64],
    cells: Cells,
    *,
    decisions: "UtilityConfig | None" = None,
) -> OutcomeFit:
    """The outcome head of these labelled rows: a reader of every block, the penalties of each chosen for itself.

    Regressions from both kinds of start are averaged: on recorded outcomes that had less log loss than the start that
    cross-validation preferred, and than either alone (LOG.md, 2026-11-29).

    Args:
        blocks: (n, d) hidden states by name, all of which are read.
        logits: (n, 3) of the router.
        cell: (n,) index into `cells` of every row's outcome.
        fold: (n,) 0 … f - 1, at least 2 folds; near-identical queries in one.
        cells: the joint outcomes.
        decisions: train on by the utility of sampled decisions, every regression on the rows it was fitted to; None
            leaves that out.
    """
    # One thread: matrices this small lose more to the second one than they gain, and its sums are in another order.
    with threadpool_limits(1):
        known = (logits, cell, fold, cells, decisions)
        found = [_fit_reader(name, hidden, *known) for name, hidden in blocks.items()]
    table = tuple(one for _, tried in found for one in tried)
    return OutcomeFit(OutcomeHead(cells, tuple(reader for reader, _ in found)), table)


def _fit_reader(
    name: str,
    hidden: NDArray[np.floating],
    logits: NDArray[np.floating],
    cell: NDArray[np.int64],
    fold: NDArray[np.int64],
    cells: Cells,
    decisions: "UtilityConfig | None",
) -> tuple[Reader, list[Tried]]:
    """The reader, from every kind of start at the penalty of least held-out log loss, and all that were tried."""
    inputs = OutcomeInputs.of(hidden, logits)
    x, teach = inputs(hidden, logits), [fold != k for k in range(int(fold.max()) + 1)]
    table, starts, weights = list[Tried](), list[tuple[OutcomeStart, ...]](), list[tuple[FloatArray, ...]]()
    for start in STARTS:
        own = tuple(_start(start, logits[taught], cell[taught], cells) for taught in teach)
        offsets = [one(logits, cells) for one in own]
        tried, fitted = _best_penalty(x, cell, fold, teach, offsets)
        table += [Tried(name, start, *one) for one in tried]
        if decisions is not None:
            fitted = _trained_on(x, cell, fold, offsets, fitted, _least(tried), cells, decisions)
        starts.append(own)
        weights.append(fitted)
    return Reader(name, inputs, tuple(starts), tuple(weights)), table


def _best_penalty(
    x: FloatArray,
    cell: NDArray[np.int64],
    fold: NDArray[np.int64],
    teach: Sequence[NDArray[np.bool_]],
    offsets: Sequence[FloatArray],
) -> tuple[list[tuple[float, float]], tuple[FloatArray, ...]]:
    """(penalty, held-out log loss) of those tried, and the regressions of the best, one a fold."""
    tried, rows = list[tuple[float, float]](), np.arange(len(cell))
    best: tuple[FloatArray, ...] = ()
    weights: Sequence[FloatArray | None] = [None] * len(teach)
    for penalty in PENALTIES:
        fitted = tuple(
            fit_multinomial(x[taught], cell[taught], offset[taught], penalty=penalty, start=stronger)
            for taught, offset, stronger in zip(teach, offsets, weights, strict=True)
        )
        weights = fitted
        z = np.stack([log_odds(x, w, offset) for w, offset in zip(fitted, offsets, strict=True)])
        loss = float(-log_softmax(z[fold, rows], axis=1)[rows, cell].mean())
        # Weaker ones only fit more noise, and take the longest.
        if tried and loss > tried[-1][1]:
            tried.append((penalty, loss))
            break
        tried.append((penalty, loss))
        best = fitted
    return tried, best


def _trained_on(
    x: FloatArray,
    cell: NDArray[np.int64],
    fold: NDArray[np.int64],
    offsets: Sequence[FloatArray],
    weights: Sequence[FloatArray],
    penalty: float,
    cells: Cells,
    decisions: "UtilityConfig",
) -> tuple[FloatArray, ...]:
    """The regressions after RL on decisions; none sees the fold it leaves out."""
    from routecal.calib.outcome.utility_rl import train_on  # here: it takes torch

    found = []
    for left_out, (offset, w) in enumerate(zip(offsets, weights, strict=True)):
        taught = fold != left_out
        rows = (x[taught], cell[taught], offset[taught], w)
        found.append(train_on(*rows, penalty=penalty, cells=cells, config=decisions))
    return tuple(found)


def _least(tried: Sequence[tuple[float, float]]) -> float:
    """The penalty of least loss."""
    return min(tried, key=lambda one: one[1])[0]


def _start(name: str, logits: NDArray[np.floating], cell: NDArray[np.int64], cells: Cells) -> OutcomeStart:
    return OutcomeStart.router(logits, cell, cells) if name == "router" else OutcomeStart.base_rates(cell, cells)
