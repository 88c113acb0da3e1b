"""Draws what `calib.metrics` and `calib.escalation` computed; the only package that imports matplotlib.

Each of these functions gives a figure; `render` makes bytes of it: a PNG, or with `fmt` an SVG or PDF.
"""

from routecal.calib.plots.cost_quality import Band, cost_quality
from routecal.calib.plots.forest import forest_plot
from routecal.calib.plots.night_history import NightPoint, nights
from routecal.calib.plots.reliability_diagram import before_after, reliability_diagram
from routecal.calib.plots.risk_coverage import risk_coverage
from routecal.calib.plots.style import Format, render
from routecal.calib.plots.training_curves import training_curves

__all__ = [
    "Band",
    "Format",
    "NightPoint",
    "before_after",
    "cost_quality",
    "forest_plot",
    "nights",
    "reliability_diagram",
    "render",
    "risk_coverage",
    "training_curves",
]
