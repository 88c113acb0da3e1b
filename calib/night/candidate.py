"""Tonight's candidate: whether the serving head is also trained on, and which of the heads stands against it."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from routecal.calib.checks import FloatArray
from routecal.calib.metrics import brier
from routecal.calib.recalibrate import Recalibrator
from routecal.calib.recalibrate.registry import RECALIBRATORS

# Of tonight's rows on which the router is right, and as many on which it is wrong, from which on the serving head is
# also trained on, on tonight's alone.
WARM_FROM = 30
# Folds that a recalibrator is fitted without, one at a time, before two heads are compared.
FOLDS = 5


def may_warm_start(*, n_right: int, n_wrong: int, is_doubted: bool) -> bool:
    """Whether the serving head is also trained on: where tonight has enough rows of both classes, and no doubted ones.

    Args:
        n_right: tonight's rows on which the router is right.
        n_wrong: on which it is wrong.
        is_doubted: the outcomes changed and nothing explains it; the serving head must not learn from them.

    >>> may_warm_start(n_right=200, n_wrong=30, is_doubted=False)
    True
    >>> may_warm_start(n_right=29, n_wrong=200, is_doubted=False)
    False
    """
    return not is_doubted and min(n_right, n_wrong) >= WARM_FROM


class Contender(NamedTuple):
    """A head by what it says of the rows that its recalibrator was fitted on.

    Attributes:
        p: (n,) confidence before recalibration, by heads that did not learn from the row.
        y: (n,) {0, 1}.
        is_judged: (n,) bool: tonight's rows among them, the same ones for every contender and in the same order.
        recalibrator: as fitted; its family is fitted again.
    """

    p: FloatArray
    y: FloatArray
    is_judged: NDArray[np.bool_]
    recalibrator: Recalibrator


def choose_candidate(contenders: Mapping[str, Contender]) -> str:
    """The name of the head of least Brier on tonight's rows; of equal ones the first by name.

    No row is judged by a recalibrator that was fitted on it: the family is fitted without a fifth of tonight's rows at
    a time. One fitted on tonight's 200 rows alone flatters its head there by .002 to .005 (LOG.md, 2026-11-29).

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.
    """
    loss = {name: brier(*_cross_fitted(contender)) for name, contender in contenders.items()}
    return min(loss, key=lambda name: (loss[name], name))


def _cross_fitted(contender: Contender) -> tuple[FloatArray, FloatArray]:
    """(p, y) of the judged rows, p by recalibrators that they had no part in."""
    p, y, is_judged, fitted = contender
    fit = RECALIBRATORS[fitted.name]
    rows = np.flatnonzero(is_judged)
    q = np.empty(len(rows))
    for fold in range(min(FOLDS, len(rows))):
        is_out = np.arange(len(rows)) % FOLDS == fold
        kept = np.ones(len(p), bool)
        kept[rows[is_out]] = False
        # With nothing left to fit on, what was fitted is all there is.
        again = fit(p[kept], y[kept]) if kept.any() else fitted
        q[is_out] = again(p[rows[is_out]])
    return q, y[rows]
