"""Reliability: accuracy against confidence, for several methods on one diagram, or before and after side by side."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy.stats import binom

from routecal.calib.checks import FloatArray, checked
from routecal.calib.metrics import brier, ece, reliability_bins
from routecal.calib.metrics.bin_counts import bin_index
from routecal.calib.plots.style import GREY, SeriesStyle, blank, plain_axes, series_styles

FEW = 10  # a line through bins thinner than this would draw noise
DiagramRows = tuple[ArrayLike, ArrayLike]


def reliability_diagram(curves: Mapping[str, DiagramRows], *, n_bins: int = 10, title: str = "Reliability") -> Figure:
    """Accuracy against confidence per bin, with 95% intervals, and the histogram of confidence below.

    The band around the diagonal is where 95% of the bins of a perfectly calibrated p would fall; it is drawn for the
    last curve, whose bins it belongs to. Bars are Wilson intervals; bins of fewer than FEW rows are hollow and not
    joined. Bins follow the rule of `metrics.binned`. Baselines first, the method in question last.

    Args:
        curves: name -> (p (n,), y (n,)), drawn in order; six at most keep a look of their own.
        n_bins: equal-width bins.
        title: above the diagram.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.
        ValueError: no curves.

    >>> len(reliability_diagram({"head": ([0.2, 0.8], [0, 1])}).axes)
    2
    """
    if not curves:
        raise ValueError("a reliability diagram needs at least one curve")
    rows = {name: checked(p, y) for name, (p, y) in curves.items()}
    figure = blank(6.2, 7.3 + 0.22 * len(rows))
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
    _frame(top, next(reversed(rows.values()))[0], n_bins=n_bins)
    for i, ((name, (p, y)), style) in enumerate(zip(rows.items(), series_styles(list(rows)), strict=True)):
        is_last = i == len(rows) - 1
        label = f"{name}   ECE {ece(p, y, n_bins=n_bins):.3f}  Brier {brier(p, y):.3f}"
        _bins(top, p, y, style, n_bins=n_bins, label=label, above=3 + i)
        _histogram(below, p, style, n_bins=n_bins, fill=is_last)
    top.set(ylabel="accuracy (router's policy was right)", title=title)
    figure.legend(loc="outside lower left", fontsize=9, frameon=False)
    below.set(ylabel="fraction of rows")
    _foot(below, sorted({len(p) for p, _ in rows.values()}))
    plain_axes((top, below))
    return figure


def before_after(
    before: DiagramRows,
    after: DiagramRows,
    *,
    names: tuple[str, str] = ("before", "after"),
    n_bins: int = 10,
) -> Figure:
    """Two reliability diagrams on the same axes, each with the band of its own confidences and its own histogram.

    Args:
        before: (p (n,), y (n,)), for example of the raw router.
        after: (p, y) of the same rows with the calibrated confidence.
        names: titles of the two.
        n_bins: equal-width bins, as in `reliability_diagram`.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> len(before_after(([0.9, 0.9], [0, 1]), ([0.5, 0.5], [0, 1])).axes)
    4
    """
    figure = blank(8.6, 5.4)
    panels = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=(3.4, 1))
    rows = (checked(*before), checked(*after))
    for i, (name, (p, y), style) in enumerate(zip(names, rows, series_styles(names), strict=True)):
        top, below = panels[:, i]
        _frame(top, p, n_bins=n_bins)
        _bins(top, p, y, style, n_bins=n_bins, label=None, above=3)
        _histogram(below, p, style, n_bins=n_bins, fill=True)
        top.set(title=f"{name}\nECE {ece(p, y, n_bins=n_bins):.3f}   Brier {brier(p, y):.3f}")
        _foot(below, [len(p)])
    panels[0, 0].set(ylabel="accuracy (router's policy was right)")
    panels[1, 0].set(ylabel="fraction of rows")
    plain_axes(list(panels.flat))
    return figure


def _frame(axes: Axes, p: FloatArray, *, n_bins: int) -> None:
    """The diagonal, and where the accuracy of each bin of p falls 95% of the time if p is calibrated."""
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", zorder=1)
    bins = reliability_bins(p, np.zeros(len(p)), n_bins=n_bins)
    low, high = binom.interval(0.95, bins.n, bins.mean_p)
    edges = np.linspace(0, 1, n_bins + 1)
    for i, (b, start, end) in enumerate(zip(bins.index, low / bins.n, high / bins.n, strict=True)):
        label = None if i else "95% of bins fall here if the last curve is calibrated"
        axes.fill_between(edges[b : b + 2], start, end, color=GREY, alpha=0.16, linewidth=0, zorder=0, label=label)


def _bins(
    axes: Axes, p: FloatArray, y: FloatArray, style: SeriesStyle, *, n_bins: int, label: str | None, above: int
) -> None:
    """Accuracy of each bin with its interval; thin bins hollow and apart."""
    bins = reliability_bins(p, y, n_bins=n_bins)
    error = np.abs(np.stack([bins.accuracy - bins.low, bins.high - bins.accuracy]))
    many = bins.n >= FEW
    drawn: dict[str, Any] = {
        "color": style.colour, "marker": style.marker, "elinewidth": 0.9, "capsize": 2.5, "zorder": above
    }  # fmt: skip
    axes.errorbar(
        bins.mean_p[many],
        bins.accuracy[many],
        yerr=error[:, many],
        label=label,
        linestyle=style.line,
        linewidth=1.6,
        markersize=6,
        markeredgecolor="white",
        markeredgewidth=0.7,
        **drawn,
    )
    axes.errorbar(
        bins.mean_p[~many],
        bins.accuracy[~many],
        yerr=error[:, ~many],
        linestyle="",
        markersize=4,
        markerfacecolor="white",
        alpha=0.45,
        **drawn,
    )


def _histogram(axes: Axes, p: FloatArray, style: SeriesStyle, *, n_bins: int, fill: bool) -> None:
    axes.stairs(
        np.bincount(bin_index(p, n_bins=n_bins), minlength=n_bins) / len(p),
        np.linspace(0, 1, n_bins + 1),
        color=style.colour,
        linestyle="-" if fill else style.line,
        linewidth=1.6,
        fill=fill,
        alpha=0.35 if fill else 1.0,
        zorder=1 if fill else 2,
    )


def _foot(axes: Axes, sizes: list[int]) -> None:
    """Label the finished histogram; a limit set before the last of its curves would cut that one off."""
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"confidence p   (n = {', '.join(f'{n:,}' for n in sizes)})")
