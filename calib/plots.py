"""Draws what `calib.metrics` computed, as PNG bytes; the only file that imports matplotlib.

Figures are made without pyplot: no global state, no display, safe in threads. Colours are Okabe & Ito's, which stay
apart in every common colour blindness; every curve also has a marker of its own, so that a grey print can be read.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy.stats import binom

from calib.checks import FloatArray, checked
from calib.metrics.binned import bin_index, ece, reliability_bins
from calib.metrics.proper import brier
from calib.training import StepLog

DPI = 110
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#6b6b6b"
LEAST_SPAN = 0.005  # of the Brier axis: a smaller change is noise at any n we meet, and should look flat
FEW = 10  # a line through bins thinner than this would draw noise


def reliability_diagram(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]], *, n_bins: int = 10, title: str = "Reliability"
) -> bytes:
    """Accuracy against confidence per bin, with 95% intervals, and the histogram of confidence below.

    The band around the diagonal is where 95% of the bins of a perfectly calibrated p would fall; it is drawn for the
    last curve, whose bins it belongs to. Bars are Wilson intervals; bins of fewer than FEW rows are hollow and not
    joined. Bins follow the rule of `metrics.binned`. Baselines first, the method in question last.

    Args:
        curves: name -> (p (n,), y (n,)), drawn in order; seven at most keep a colour and a marker of their own.
        n_bins: equal-width bins.
        title: above the diagram.

    Returns:
        A PNG below 200 KB.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.
        ValueError: no curves.

    >>> reliability_diagram({"head": ([0.2, 0.8], [0, 1])})[1:4]
    b'PNG'
    """
    if not curves:
        raise ValueError("a reliability diagram needs at least one curve")
    rows = {name: checked(p, y) for name, (p, y) in curves.items()}
    figure = Figure(figsize=(6.2, 7.3 + 0.22 * len(rows)), dpi=DPI, layout="constrained")
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
    top.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", zorder=1)
    _consistency_band(top, next(reversed(rows.values()))[0], n_bins=n_bins)
    for i, (name, (p, y)) in enumerate(rows.items()):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        bins = reliability_bins(p, y, n_bins=n_bins)
        error = np.abs(np.stack([bins.accuracy - bins.low, bins.high - bins.accuracy]))
        label = f"{name}   ECE {ece(p, y, n_bins=n_bins):.3f}  Brier {brier(p, y):.3f}"
        many = bins.n >= FEW
        style: dict[str, Any] = {"color": colour, "marker": marker, "elinewidth": 0.9, "capsize": 2.5, "zorder": 3 + i}
        top.errorbar(
            bins.mean_p[many],
            bins.accuracy[many],
            yerr=error[:, many],
            label=label,
            markersize=6,
            markeredgecolor="white",
            markeredgewidth=0.7,
            linewidth=1.6,
            **style,
        )
        top.errorbar(
            bins.mean_p[~many],
            bins.accuracy[~many],
            yerr=error[:, ~many],
            markersize=4,
            markerfacecolor="white",
            linestyle="",
            alpha=0.45,
            **style,
        )
        below.stairs(
            np.bincount(bin_index(p, n_bins=n_bins), minlength=n_bins) / len(p),
            np.linspace(0, 1, n_bins + 1),
            color=colour,
            linewidth=1.6,
            fill=i == len(rows) - 1,
            alpha=0.35 if i == len(rows) - 1 else 1.0,
            zorder=1 if i == len(rows) - 1 else 2,
        )
    top.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), ylabel="accuracy (router's policy was right)", title=title)
    figure.legend(loc="outside lower left", fontsize=9, frameon=False)
    below.set(xlabel="confidence p", ylabel="fraction of rows")
    below.set_ylim(bottom=0)
    sizes = sorted({len(p) for p, _ in rows.values()})
    below.annotate(
        "n = " + ", ".join(f"{n:,}" for n in sizes),
        (0.015, 0.95),
        xycoords="axes fraction",
        va="top",
        fontsize=9,
        color=GREY,
    )
    _plain(top, below)
    return _png(figure)


def training_curves(logs: Sequence[StepLog]) -> bytes:
    """Validation Brier score, reward and spread of confidence over training, SFT and RL on one axis of steps.

    Args:
        logs: records in the order they were made; the stages follow each other.

    Returns:
        A PNG below 200 KB.

    Raises:
        ValueError: no records.

    >>> log = StepLog(stage="sft", step=1, epoch=1, loss=0.25, terms={}, mean_p=0.5, std_p=0.1, validation_brier=0.2)
    >>> training_curves([log])[1:4]
    b'PNG'
    """
    if not logs:
        raise ValueError("training curves need at least one step")
    at = np.arange(1, len(logs) + 1)
    figure = Figure(figsize=(6.2, 6.6), dpi=DPI, layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    series: tuple[tuple[str, str, list[float | None]], ...] = (
        ("validation Brier", "o", [log.validation_brier for log in logs]),
        ("mean reward", "", [log.reward for log in logs]),
        ("std of p in batch", "", [log.std_p for log in logs]),
    )
    stages = np.array([log.stage for log in logs])
    for panel, (name, marker, values) in zip(panels, series, strict=True):
        y = np.array([np.nan if v is None else v for v in values])
        for stage, colour in zip(("sft", "rl"), COLOURS, strict=False):
            shown = (stages == stage) & np.isfinite(y)
            if shown.any():
                style: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 4}
                faint = not marker and shown.sum() > 20
                panel.plot(
                    at[shown],
                    y[shown],
                    linewidth=0.8 if faint else 1.6,
                    alpha=0.35 if faint else 1,
                    **style,
                    label=None,
                )
                if faint:
                    panel.plot(at[shown], _smooth(y[shown]), color=colour, linewidth=1.8)
                panel.plot([], [], label=stage.upper(), **style)
        if not np.isfinite(y).any():
            panel.text(0.5, 0.5, "none in this run", transform=panel.transAxes, ha="center", va="center", color=GREY)
        for change in np.flatnonzero(stages[1:] != stages[:-1]):
            panel.axvline(float(at[change]) + 0.5, color=GREY, linewidth=1, linestyle=":")
        panel.set_ylabel(name)
    low, high = panels[0].get_ylim()
    if (lack := LEAST_SPAN - (high - low)) > 0:
        panels[0].set_ylim(low - lack / 2, high + lack / 2)
    handles, labels = panels[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=2, fontsize=9, frameon=False)
    panels[-1].set_xlabel("step")
    _plain(*panels)
    return _png(figure)


def _consistency_band(axes: Axes, p: FloatArray, *, n_bins: int) -> None:
    """Where the accuracy of each bin of p falls 95% of the time if p is calibrated: a step per non-empty bin."""
    bins = reliability_bins(p, np.zeros(len(p)), n_bins=n_bins)
    low, high = binom.interval(0.95, bins.n, bins.mean_p)
    edges = np.linspace(0, 1, n_bins + 1)
    for i, (b, start, end) in enumerate(zip(bins.index, low / bins.n, high / bins.n, strict=True)):
        label = None if i else "95% of bins fall here if the last curve is calibrated"
        axes.fill_between(edges[b : b + 2], start, end, color=GREY, alpha=0.16, linewidth=0, zorder=0, label=label)


def _smooth(y: FloatArray) -> FloatArray:
    """Centred moving average over a tenth of the steps, shorter at the ends."""
    width = max(3, len(y) // 10)
    kernel = np.ones(width)
    return np.convolve(y, kernel, "same") / np.convolve(np.ones(len(y)), kernel, "same")


def _plain(*panels: Axes) -> None:
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    FigureCanvasAgg(figure)  # attaches itself
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
