"""Risk against coverage: how wrong the router is on the share of queries it is surest of."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from routecal.calib.checks import FloatArray, checked
from routecal.calib.plots.style import GREY, blank, draw_curve, plain_axes, series_styles

POINTS = 400  # more would not be seen, and make vector files heavy


def risk_coverage(curves: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Figure:
    """Share of wrong decisions among the surest rows, against how many rows those are, one line per method.

        risk(c) = mean(1 - y) over the fraction c of rows with the most confidence

    Rows of equal confidence are taken together, in expectation over their order: a constant is a flat line at its
    error rate. The dotted line is the best any ordering of these outcomes could do. Blind to calibration. The left
    end rests on few rows; it is not drawn below 2% coverage.

    Args:
        curves: name -> (p (n,), y (n,)), drawn in order; six at most keep a look of their own.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.
        ValueError: no curves.

    >>> len(risk_coverage({"head": ([0.2, 0.8], [0, 1])}).axes)
    1
    """
    if not curves:
        raise ValueError("a risk-coverage plot needs at least one curve")
    rows = {name: checked(p, y) for name, (p, y) in curves.items()}
    figure = blank(6.2, 4.6 + 0.2 * len(rows))
    axes = figure.subplots()
    for i, ((name, (p, y)), style) in enumerate(zip(rows.items(), series_styles(list(rows)), strict=True)):
        draw_curve(axes, i, name, *surest(p, y), style)
    _, y = next(reversed(rows.values()))
    axes.plot(*surest(y, y), color=GREY, linewidth=1.2, linestyle=":", label="perfect ordering")
    axes.set(
        xlim=(0, 1.01), xlabel="coverage (share of queries kept, surest first)", ylabel="risk (share of those wrong)"
    )
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside lower left", ncols=2, fontsize=9, frameon=False)
    plain_axes([axes])
    return figure


def surest(p: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(coverage (t,), risk (t,)) from 2% to all rows; between groups of tied p the errors grow evenly.

    >>> coverage, risk = surest(np.array([0.9, 0.5, 0.5, 0.1]), np.array([1.0, 1.0, 0.0, 0.0]))
    >>> np.interp([0.25, 0.75, 1.0], coverage, risk).round(3).tolist()  # 0/1, 1/3, 2/4
    [0.0, 0.333, 0.5]
    """
    order = np.argsort(-p, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(p[order]) != 0, True])  # last row of each group of tied p
    kept = np.r_[0.0, ends + 1.0]
    wrong = np.r_[0.0, np.cumsum(1 - y[order])[ends]]
    least = 0.02 * len(p)
    exact = kept[kept >= least] if len(kept) <= POINTS else kept[-1:]
    at = np.unique(np.r_[np.linspace(least, len(p), POINTS), exact])
    return at / len(p), np.interp(at, kept, wrong) / at
