"""What has to be beaten: confidences that need no head, each in its strongest form.

A baseline is `fit(labelled, seed=...) -> predictor`, where labelled holds the train, calibration and validation rows; a
predictor is a frozen dataclass `(examples) -> p (n,)`. To add one, write a file and a row of BASELINES in `registry`.
"""

from routecal.calib.baselines.base_rate import Constant, constant
from routecal.calib.baselines.boosted import Boosted, boosting
from routecal.calib.baselines.logistic import Probe, probe, probe_with_logit
from routecal.calib.baselines.nearest import Neighbours, neighbours
from routecal.calib.baselines.platt_scaled import Scaled, entropy_platt, margin_platt, max_prob_platt
from routecal.calib.baselines.predictors import Fit, Predictor, Recalibrated
from routecal.calib.baselines.registry import BASELINES, usable
from routecal.calib.baselines.router_outputs import MaxProb, Raw, entropy, margin, max_prob, temperature
from routecal.calib.baselines.verbalized import Verbal, verbal, verbal_platt

__all__ = [
    "BASELINES",
    "Boosted",
    "Constant",
    "Fit",
    "MaxProb",
    "Neighbours",
    "Predictor",
    "Probe",
    "Raw",
    "Recalibrated",
    "Scaled",
    "Verbal",
    "boosting",
    "constant",
    "entropy",
    "entropy_platt",
    "margin",
    "margin_platt",
    "max_prob",
    "max_prob_platt",
    "neighbours",
    "probe",
    "probe_with_logit",
    "temperature",
    "usable",
    "verbal",
    "verbal_platt",
]
