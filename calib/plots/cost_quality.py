"""The cost-quality plane: what each threshold costs and brings, beside everything it has to be measured against."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from routecal.calib.escalation.tradeoff import CostQuality
from routecal.calib.plots.style import GREY, blank, draw_curve, plain_axes, series_styles


class Band(NamedTuple):
    """An interval of quality, [low, high] (t,), at each cost (t,)."""

    cost: ArrayLike
    low: ArrayLike
    high: ArrayLike


def cost_quality(
    curves: Mapping[str, CostQuality],
    *,
    random: CostQuality,
    oracle: CostQuality,
    points: Mapping[str, tuple[float, float]] | None = None,
    chosen: tuple[float, float] | None = None,
    bands: Mapping[str, Band] | None = None,
    thin: Collection[str] = (),
    unit: str = "USD",
) -> Figure:
    """Quality against cost per query, one line per rule, from what keeps all that it may to all-large.

    Bands are pointwise, and curves share their luck, so overlap is no test. Rules first are what has to be beaten, last
    the one in question.

    Args:
        curves: name -> cost and quality of its thresholds (`Curve.line`); six at most keep a look of their own.
        random: the random mix, from all-medium to all-large.
        oracle: the best assignment for every budget (`oracle_line`); drawn on to the right end.
        points: name -> (cost, quality) of single policies, such as all-medium.
        chosen: (cost, quality) of the threshold in use.
        bands: intervals of quality by the name of their curve.
        thin: names of curves that are there for comparison alone.
        unit: of cost, for the label.

    Raises:
        ValueError: no curves.

    >>> ends = CostQuality(np.array([1.0, 9.0]), np.array([0.5, 0.8]))
    >>> len(cost_quality({"head": ends}, random=ends, oracle=ends).axes)
    1
    """
    if not curves:
        raise ValueError("a cost-quality plot needs at least one curve")
    figure = blank(6.6, 5.2 + 0.2 * len(curves))
    axes = figure.subplots()
    styles = dict(zip(curves, series_styles(list(curves)), strict=True))
    for name, band in (bands or {}).items():
        cost, low, high = (np.asarray(values) for values in band)
        colour = styles[name].colour
        axes.fill_between(cost, low, high, color=colour, alpha=0.13, linewidth=0, label=f"interval of {name}")
    right = max(float(np.max(line.cost)) for line in (*curves.values(), random, oracle))
    best = CostQuality(np.append(oracle.cost, right), np.append(oracle.quality, oracle.quality[-1]))
    axes.plot(*best, color="#000000", linewidth=1.2, linestyle=":", label="perfect oracle")
    axes.plot(*random, color=GREY, linewidth=1.2, linestyle="--", label="random mix")
    for i, (name, line) in enumerate(curves.items()):
        draw_curve(axes, i, name, *line, styles[name], above=3 + i, width=0.8 if name in thin else 1.7)
    for name, at in (points or {}).items():
        _named(axes, name, at)
    if chosen is not None:
        axes.plot(
            *chosen,
            color="#000000",
            marker="*",
            markersize=15,
            markerfacecolor="white",
            linestyle="",
            label="threshold in use",
            zorder=20,
        )
    axes.set(xlabel=f"cost per query ({unit})", ylabel="quality (share answered correctly)")
    figure.legend(loc="outside lower left", ncols=2, fontsize=9, frameon=False)
    plain_axes([axes])
    return figure


def _named(axes: Axes, name: str, at: tuple[float, float]) -> None:
    axes.plot(*at, color="#000000", marker="x", markersize=7, linestyle="", zorder=15)
    axes.annotate(name, at, xytext=(6, -11), textcoords="offset points", fontsize=8.5, color="#000000")
