"""Draws what `calib.metrics` and `calib.escalation` computed; the only package that imports matplotlib.

Every `name(...)` gives bytes (PNG, or SVG and PDF by `fmt`) of what `name_figure(...)` draws.
"""

from routecal.calib.plots.cost_quality import Band, cost_quality, cost_quality_figure
from routecal.calib.plots.forest import forest_figure, forest_plot
from routecal.calib.plots.night_history import NightPoint, nights, nights_figure
from routecal.calib.plots.reliability_diagram import (
    before_after,
    before_after_figure,
    reliability_diagram,
    reliability_figure,
)
from routecal.calib.plots.risk_coverage import risk_coverage, risk_coverage_figure
from routecal.calib.plots.style import COLOURS, LINES, MARKERS, Format, render
from routecal.calib.plots.training_curves import training_curves, training_figure

__all__ = [
    "COLOURS",
    "LINES",
    "MARKERS",
    "Band",
    "Format",
    "NightPoint",
    "before_after",
    "before_after_figure",
    "cost_quality",
    "cost_quality_figure",
    "forest_figure",
    "forest_plot",
    "nights",
    "nights_figure",
    "reliability_diagram",
    "reliability_figure",
    "render",
    "risk_coverage",
    "risk_coverage_figure",
    "training_curves",
    "training_figure",
]
