"""The baselines by name."""

from routecal.calib.baselines.base_rate import constant
from routecal.calib.baselines.boosted import boosting
from routecal.calib.baselines.logistic import probe, probe_with_logit
from routecal.calib.baselines.nearest import neighbours
from routecal.calib.baselines.platt_scaled import entropy_platt, margin_platt, max_prob_platt
from routecal.calib.baselines.predictors import Fit
from routecal.calib.baselines.router_outputs import entropy, margin, max_prob, temperature
from routecal.calib.baselines.verbalized import verbal, verbal_platt
from routecal.calib.examples import Examples

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
