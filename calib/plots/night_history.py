"""The serving head over nights: its calibration, its Brier score, and where another took its place."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from routecal.calib.plots.style import GREY, blank, plain_axes, series_style

# Dates written under the axis, at most.
TICKS = 8


class NightPoint(NamedTuple):
    """One night.

    Attributes:
        at: when.
        ece: of the head that serves after it; None where nothing was judged.
        ece_high: upper end of its interval.
        brier: of the same head.
        is_promoted: another head took its place that night.
    """

    at: datetime
    ece: float | None
    ece_high: float | None
    brier: float | None
    is_promoted: bool


def nights(points: Sequence[NightPoint], *, target_ece: float = 0.05) -> Figure:
    """ECE with its upper bound, and Brier, night by night; a line stands where a head was promoted.

    Args:
        points: oldest first; at least one.
        target_ece: drawn as a line.

    Raises:
        ValueError: no nights.

    >>> len(nights([NightPoint(datetime(2026, 1, 1), 0.03, 0.05, 0.2, True)]).axes)
    2
    """
    if not points:
        raise ValueError("the trend over nights needs at least one night")
    figure = blank(6.4, 4.6)
    ece, brier = panels = figure.subplots(2, 1, sharex=True)
    at = [point.at for point in points]
    own = series_style(0)
    values = {name: np.array([getattr(p, name) for p in points], np.float64) for name in ("ece", "ece_high", "brier")}
    ece.plot(at, values["ece"], color=own.colour, marker=own.marker, markersize=4, label="ECE")
    ece.plot(at, values["ece_high"], color=own.colour, linestyle=":", linewidth=1, marker="_", label="upper bound")
    ece.axhline(target_ece, color=GREY, linestyle="--", linewidth=1, label=f"target {target_ece:g}")
    ece.set_ylim(bottom=0)
    brier.plot(at, values["brier"], color=own.colour, marker=own.marker, markersize=4)
    for panel, name in zip(panels, ("ECE", "Brier"), strict=True):
        panel.set_ylabel(name)
        for i, point in enumerate(p for p in points if p.is_promoted):
            label = "promoted" if panel is ece and i == 0 else None
            panel.axvline(point.at, color="black", linewidth=0.8, alpha=0.5, label=label)
    figure.legend(fontsize=8, frameon=False, ncols=4, loc="outside lower left")
    _dates(brier, at)
    plain_axes(panels)
    return figure


def _dates(panel: Axes, at: Sequence[datetime]) -> None:
    """Ticks at nights, and only at them; an axis of one night is a day wide."""
    first, last = min(at), max(at)
    margin = max(timedelta(hours=12), 0.04 * (last - first))
    panel.set_xlim(first - margin, last + margin)  # type: ignore[arg-type]  # matplotlib converts dates
    shown = [at[i] for i in np.unique(np.linspace(0, len(at) - 1, min(TICKS, len(at))).round().astype(int))]
    panel.set_xticks(shown, [f"{one:%Y-%m-%d}" for one in shown])
    panel.tick_params(axis="x", labelsize=8, rotation=20)
