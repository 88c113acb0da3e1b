"""Recalibrators: non-decreasing maps p -> p fitted on held-out rows, chosen by cross-validated log loss.

A family is one file: a frozen dataclass with `name`, `__call__` and JSON fields, and a fit (p, y) -> instance. To add
one, write the file and give it one row of the table in `registry`. A fit imports optimisers and scikit-learn where it
runs: a head that is only served applies a map and fits none, and opens in half the time without them.
"""

from routecal.calib.recalibrate.beta import Beta, fit_beta
from routecal.calib.recalibrate.choose import Candidate, Choice, choose_recalibrator
from routecal.calib.recalibrate.ets import ETS, fit_ets
from routecal.calib.recalibrate.histogram import Histogram, fit_histogram
from routecal.calib.recalibrate.identity import Identity, fit_identity
from routecal.calib.recalibrate.isotonic import Isotonic, fit_isotonic
from routecal.calib.recalibrate.platt import Platt, fit_platt, platt_parameters
from routecal.calib.recalibrate.quadratic import Quadratic, fit_quadratic
from routecal.calib.recalibrate.registry import (
    FAMILIES,
    LEAST_ROWS,
    RECALIBRATORS,
    Recalibrator,
    from_json,
    get_recalibrator,
    to_json,
)
from routecal.calib.recalibrate.spline import Spline, fit_spline
from routecal.calib.recalibrate.temperature import Temperature, fit_temperature
from routecal.calib.recalibrate.venn_abers import VennAbers, fit_venn_abers

__all__ = [
    "ETS",
    "FAMILIES",
    "LEAST_ROWS",
    "RECALIBRATORS",
    "Beta",
    "Candidate",
    "Choice",
    "Histogram",
    "Identity",
    "Isotonic",
    "Platt",
    "Quadratic",
    "Recalibrator",
    "Spline",
    "Temperature",
    "VennAbers",
    "choose_recalibrator",
    "fit_beta",
    "fit_ets",
    "fit_histogram",
    "fit_identity",
    "fit_isotonic",
    "fit_platt",
    "fit_quadratic",
    "fit_spline",
    "fit_temperature",
    "fit_venn_abers",
    "from_json",
    "get_recalibrator",
    "platt_parameters",
    "to_json",
]
