"""Training curves: what was minimised, what it did to the confidence, and whether confidence stayed alive."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from routecal.calib.checks import FloatArray
from routecal.calib.learn.training_loop import StepLog
from routecal.calib.plots.style import GREY, LINES, METHODS, blank, plain_axes, series_style

LEAST_SPAN = 0.005  # of the Brier axis: a smaller change is noise at any n we meet, and should look flat
MANY = 20  # more steps than this are drawn faintly under their moving average
# Each stage in the look of the head that it ends in.
STAGES = {"sft": METHODS["SFT"], "rl": METHODS["SFT + RL + recalibration"]}


def training_curves(logs: Sequence[StepLog]) -> Figure:
    """Loss terms, mean reward, validation Brier score and spread of confidence, SFT and RL on one axis of steps.

    Watch the lowest panel: a spread of p that runs to 0 is collapse, whatever the loss says.

    Args:
        logs: records in the order they were made; the stages follow each other.

    Raises:
        ValueError: no records.

    >>> log = StepLog(stage="sft", step=1, epoch=1, loss=0.25, terms={}, mean_p=0.5, std_p=0.1, validation_brier=0.2)
    >>> len(training_curves([log]).axes)
    4
    """
    if not logs:
        raise ValueError("training curves need at least one step")
    figure = blank(6.4, 8.2)
    panels = figure.subplots(4, 1, sharex=True)
    stages = [log.stage for log in logs]
    _terms(panels[0], logs)
    for panel, name, marker, values in (
        (panels[1], "mean reward", "", [log.reward for log in logs]),
        (panels[2], "validation Brier", "o", [log.validation_brier for log in logs]),
        (panels[3], "std of p in batch", "", [log.std_p for log in logs]),
    ):
        column = _column(values)
        for stage, number in STAGES.items():
            shown = np.array([s == stage for s in stages]) & np.isfinite(column)
            _series(panel, shown, column, label=stage.upper(), number=number, marker=marker, line=LINES[0])
        panel.set_ylabel(name)
    for panel in panels:
        if not panel.lines:
            panel.text(0.5, 0.5, "none in this run", transform=panel.transAxes, ha="center", va="center", color=GREY)
        for step, (before, after) in enumerate(pairwise(stages), start=1):
            if before != after:
                panel.axvline(step + 0.5, color=GREY, linewidth=1, linestyle=":")
        if panel.get_legend_handles_labels()[0]:
            panel.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    low, high = panels[2].get_ylim()
    if (lack := LEAST_SPAN - (high - low)) > 0:
        panels[2].set_ylim(low - lack / 2, high + lack / 2)
    panels[-1].set_xlabel("step")
    plain_axes(list(panels))
    return figure


def _terms(panel: Axes, logs: Sequence[StepLog]) -> None:
    """Every unweighted term of the loss as a line of its own; the loss itself where a record names no terms."""
    named = [dict(log.terms) or {"loss": log.loss} for log in logs]
    for i, name in enumerate(dict.fromkeys(term for terms in named for term in terms)):
        column = _column([terms.get(name) for terms in named])
        _series(panel, np.isfinite(column), column, label=name, number=i, marker="", line=series_style(i).line)
    panel.set_ylabel("loss terms")


def _series(panel: Axes, shown: Any, column: FloatArray, *, label: str, number: int, marker: str, line: Any) -> None:
    if not shown.any():
        return
    at, values = np.flatnonzero(shown) + 1, column[shown]
    style: dict[str, Any] = {"color": series_style(number).colour, "linestyle": line}
    many = not marker and len(at) > MANY
    if many:
        panel.plot(at, values, linewidth=0.6, alpha=0.25, color=series_style(number).colour)
        values = _smooth(values)
    alone = "o" if len(at) == 1 else marker  # a line of one step would not be seen
    panel.plot(at, values, label=label, linewidth=1.7, marker=alone, markersize=4, **style)


def _column(values: Sequence[float | None]) -> FloatArray:
    return np.array([np.nan if v is None else v for v in values], np.float64)


def _smooth(y: FloatArray) -> FloatArray:
    """Centred moving average over a tenth of the steps, shorter at the ends."""
    kernel = np.ones(max(3, len(y) // 10))
    return np.convolve(y, kernel, "same") / np.convolve(np.ones(len(y)), kernel, "same")
