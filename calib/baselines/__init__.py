"""What has to be beaten: confidences that need no head, each in its strongest form.

A baseline is `fit(labelled, seed=...) -> predictor`, where labelled holds the train, calibration and validation rows; a
predictor is a frozen dataclass `(examples) -> p (n,)`. To add one, write a file and a row of BASELINES below.
"""

from routecal.calib.baselines.boosted import Boosted, boosting
from routecal.calib.baselines.logistic import Probe, probe, probe_with_logit
from routecal.calib.baselines.nearest import Neighbours, neighbours
from routecal.calib.baselines.platt_scaled import Scaled, entropy_platt, margin_platt, max_prob_platt
from routecal.calib.baselines.predictors import Constant, Fit, Predictor, Recalibrated, constant
from routecal.calib.baselines.router_outputs import MaxProb, Raw, entropy, margin, max_prob, temperature
from routecal.calib.baselines.verbalized import Verbal, verbal, verbal_platt
from routecal.calib.examples import Examples

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

# In the order of the tables: no information, the router's outputs, its hidden state, its own word.
BASELINES: dict[str, Fit] = {
    "constant": constant,
    "max_prob": max_prob,
    "margin": margin,
    "entropy": entropy,
    "max_prob_platt": max_prob_platt,
    "margin_platt": margin_platt,
    "entropy_platt": entropy_platt,
    "temperature": temperature,
    "probe": probe,
    "probe_with_logit": probe_with_logit,
    "neighbours": neighbours,
    "boosting": boosting,
    "verbal": verbal,
    "verbal_platt": verbal_platt,
}

# What these read is only there for routers that were asked.
NEEDS_VERBAL = ("verbal", "verbal_platt")


def usable(examples: Examples) -> tuple[str, ...]:
    """Names of the baselines that these examples hold everything for, in the order of BASELINES."""
    return tuple(name for name in BASELINES if examples.verbal is not None or name not in NEEDS_VERBAL)
