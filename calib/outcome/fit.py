"""Fit the outcome head: cross-fitted multinomial regressions, start and strength by held-out log loss of the cells."""

from dataclasses import dataclass
from typing import NamedTuple

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
    blocks: Blocks, logits: NDArray[np.floating], cell: NDArray[np.int64], fold: NDArray[np.int64], cells: Cells
) -> OutcomeFit:
    """The outcome head of these labelled rows: a reader of every block, start and penalty of each chosen for itself.

    Args:
        blocks: (n, d) hidden states by name, all of which are read.
        logits: (n, 3) of the router.
        cell: (n,) index into `cells` of every row's outcome.
        fold: (n,) 0 … f - 1, at least 2 folds; near-identical queries in one.
        cells: the joint outcomes.
    """
    # One thread: matrices this small lose more to the second one than they gain, and its sums are in another order.
    with threadpool_limits(1):
        found = [_fit_reader(name, hidden, logits, cell, fold, cells) for name, hidden in blocks.items()]
    table = tuple(one for _, tried in found for one in tried)
    return OutcomeFit(OutcomeHead(cells, tuple(reader for reader, _ in found)), table)


def _fit_reader(
    name: str,
    hidden: NDArray[np.floating],
    logits: NDArray[np.floating],
    cell: NDArray[np.int64],
    fold: NDArray[np.int64],
    cells: Cells,
) -> tuple[Reader, list[Tried]]:
    """The reader of least held-out log loss, and all that were tried."""
    inputs = OutcomeInputs.of(hidden, logits)
    x, teach = inputs(hidden, logits), [fold != k for k in range(int(fold.max()) + 1)]
    rows, table, best = np.arange(len(cell)), list[Tried](), None
    for start in STARTS:
        starts = tuple(_start(start, logits[taught], cell[taught], cells) for taught in teach)
        offsets = [one(logits, cells) for one in starts]
        weights: list[FloatArray | None] = [None] * len(teach)
        before = np.inf
        for penalty in PENALTIES:
            fitted = [
                fit_multinomial(x[taught], cell[taught], offset[taught], penalty=penalty, start=stronger)
                for taught, offset, stronger in zip(teach, offsets, weights, strict=True)
            ]
            weights = list(fitted)
            z = np.stack([log_odds(x, w, offset) for w, offset in zip(fitted, offsets, strict=True)])
            loss = float(-log_softmax(z[fold, rows], axis=1)[rows, cell].mean())
            table.append(Tried(name, start, penalty, loss))
            if best is None or loss < best[0]:
                best = loss, Reader(name, inputs, starts, tuple(fitted))
            # Weaker ones only fit more noise, and take the longest.
            if loss > before:
                break
            before = loss
    assert best is not None
    return best[1], table


def _start(name: str, logits: NDArray[np.floating], cell: NDArray[np.int64], cells: Cells) -> OutcomeStart:
    return OutcomeStart.router(logits, cell, cells) if name == "router" else OutcomeStart.base_rates(cell, cells)
