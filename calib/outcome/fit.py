"""Fit the outcome head: cross-fitted multinomial regressions, start and strength by held-out log loss of the cells."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from routecal.calib.checks import EPS, FloatArray
from routecal.calib.outcome.cells import Cells
from routecal.calib.outcome.head import OutcomeHead
from routecal.calib.outcome.inputs import OutcomeInputs
from routecal.calib.outcome.multinomial import fit_multinomial
from routecal.calib.outcome.start import OutcomeStart

# Penalties tried, from strong to weak; each fit begins where the stronger one ended.
PENALTIES = (10_000.0, 3_000.0, 1_000.0, 300.0, 100.0, 30.0, 10.0)
STARTS = ("base rates", "router")


class Tried(NamedTuple):
    """One start and penalty that cross-validation looked at, with the mean held-out log loss of the cells in nats."""

    start: str
    penalty: float
    log_loss: float


@dataclass(frozen=True)
class OutcomeFit:
    """A fitted head, and what decided its start and its penalty; `chosen` is the row of `table` of least log loss."""

    head: OutcomeHead
    table: tuple[Tried, ...]
    chosen: Tried


def fit_outcome(
    hidden: NDArray[np.floating],
    logits: NDArray[np.floating],
    cell: NDArray[np.int64],
    fold: NDArray[np.int64],
    cells: Cells,
) -> OutcomeFit:
    """The outcome head of these labelled rows.

    Args:
        hidden: (n, d) the router's hidden states.
        logits: (n, 3) the router's logits.
        cell: (n,) index into `cells` of every row's outcome.
        fold: (n,) 0 … f - 1, at least 2 folds; near-identical queries in one.
        cells: the joint outcomes.
    """
    inputs = OutcomeInputs.of(hidden, logits)
    x, teach = inputs(hidden, logits), [fold != k for k in range(int(fold.max()) + 1)]
    table: list[Tried] = []
    heads: list[OutcomeHead] = []
    # One thread: matrices this small lose more to the second one than they gain, and its sums are in another order.
    with threadpool_limits(1):
        for name in STARTS:
            starts = tuple(_start(name, logits[rows], cell[rows], cells) for rows in teach)
            offsets = [start(logits, cells) for start in starts]
            weights: list[FloatArray | None] = [None] * len(teach)
            for penalty in PENALTIES:
                weights = [
                    fit_multinomial(x[rows], cell[rows], offset[rows], penalty=penalty, start=before)
                    for rows, offset, before in zip(teach, offsets, weights, strict=True)
                ]
                heads.append(OutcomeHead(cells, inputs, starts, tuple(weights)))  # type: ignore[arg-type]
                p = heads[-1].out_of_fold(hidden, logits, fold)[np.arange(len(cell)), cell]
                table.append(Tried(name, penalty, float(-np.log(np.maximum(p, EPS)).mean())))
    best = min(range(len(table)), key=lambda i: table[i].log_loss)
    return OutcomeFit(heads[best], tuple(table), table[best])


def _start(name: str, logits: NDArray[np.floating], cell: NDArray[np.int64], cells: Cells) -> OutcomeStart:
    return OutcomeStart.router(logits, cell, cells) if name == "router" else OutcomeStart.base_rates(cell, cells)
