"""The ablation: the default recipe with one choice changed at a time, and the pairs that answer a question together.

Not the full product of all choices: with seven of them that is some hundred variants per set, router and seed, of which
few can be told apart at these numbers of rows. Every variant has the default's budget of epochs, its learning rates and
its early stopping, on the same rows.
"""

from typing import NamedTuple

from routecal.calib.examples import Examples
from routecal.calib.learn.recipe import Headed, Recipe, train
from routecal.calib.learn.rl_config import RLConfig
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.trial.methods import AS_WRITTEN, WRITTEN

GROUP = "ablation"
REFERENCE = "default"

_RL = RLConfig(allow_improper=True)  # an ablation means them
_DEFAULT = Recipe(second=_RL)


class Variant(NamedTuple):
    """One line of the ablation.

    Attributes:
        factor: what is changed.
        level: to what.
        recipe: the whole of it.
    """

    factor: str
    level: str
    recipe: Recipe


def _rl(**changes: object) -> Recipe:
    return _DEFAULT.with_changes(second=RLConfig.model_validate({**_RL.model_dump(), **changes}))


def control() -> SFTConfig:
    """The second stage as SFT: the rows, epochs, rate, batches and early stopping of RL, and the squared error."""
    return SFTConfig(**{name: getattr(_RL, name) for name in SFTConfig.model_fields})


VARIANTS: dict[str, Variant] = {
    REFERENCE: Variant("default", "cross-fitted SFT + RL (Brier) on the router's outputs, recalibrated", _DEFAULT),
    # what RL adds, alone and beside recalibration
    "SFT only": Variant("second stage", "none", _DEFAULT.with_changes(second=None)),
    "SFT twice": Variant("second stage", "SFT on the same rows", _DEFAULT.with_changes(second=control())),
    "SFT on all rows": Variant(
        "second stage",
        "none, SFT on train and calibration",
        _DEFAULT.with_changes(second=None, first_rows=("train", "calibration")),
    ),
    "recalibration off": Variant("recalibration", "off", _DEFAULT.with_changes(recalibrated=False)),
    "SFT only, recalibration off": Variant(
        "second stage × recalibration", "none × off", _DEFAULT.with_changes(second=None, recalibrated=False)
    ),
    "SFT twice, recalibration off": Variant(
        "second stage × recalibration", "SFT × off", _DEFAULT.with_changes(second=control(), recalibrated=False)
    ),
    # rewards
    "reward log": Variant("reward", "log", _rl(reward="log")),
    "reward spherical": Variant("reward", "spherical", _rl(reward="spherical")),
    "reward beta(2, 2)": Variant("reward", "beta(2, 2)", _rl(reward="beta", reward_alpha=2.0, reward_beta=2.0)),
    "reward cost-weighted 3": Variant("reward", "cost-weighted, ratio 3", _rl(reward="cost_weighted", cost_ratio=3.0)),
    "reward linear": Variant("reward", "linear (improper)", _rl(reward="linear")),
    "reward linear, recalibration off": Variant(
        "reward × recalibration", "linear × off", _rl(reward="linear").with_changes(recalibrated=False)
    ),
    # estimator and policy
    "exact gradient": Variant("estimator", "exact", _rl(estimator="exact")),
    "surrogate": Variant("estimator", "METHOD.md's surrogate, linear", _rl(estimator="surrogate", reward="linear")),
    "surrogate, recalibration off": Variant(
        "estimator × recalibration",
        "surrogate, linear × off",
        _rl(estimator="surrogate", reward="linear").with_changes(recalibrated=False),
    ),
    # terms beside the reward
    "calibration 0.3": Variant("calibration term", "as written, 0.3", _rl(calibration_weight=0.3)),
    "calibration 1": Variant("calibration term", "as written, 1", _rl(calibration_weight=1.0)),
    "smooth calibration 1": Variant("calibration term", "smooth, 1", _rl(calibration="smooth", calibration_weight=1.0)),
    "smooth calibration 10": Variant(
        "calibration term", "smooth, 10", _rl(calibration="smooth", calibration_weight=10.0)
    ),
    "ranking 0.5": Variant("ranking term", "0.5", _rl(ranking_weight=0.5)),
    "ranking 2": Variant("ranking term", "2", _rl(ranking_weight=2.0)),
    "ranking 0.5, recalibration off": Variant(
        "ranking term × recalibration", "0.5 × off", _rl(ranking_weight=0.5).with_changes(recalibrated=False)
    ),
    # the head
    "residual off": Variant("residual", "off", _DEFAULT.with_changes(residual=False)),
    "residual off, SFT only": Variant(
        "residual × second stage", "off × none", _DEFAULT.with_changes(residual=False, second=None)
    ),
    "residual off, recalibration off": Variant(
        "residual × recalibration", "off × off", _DEFAULT.with_changes(residual=False, recalibrated=False)
    ),
    "start from one logit": Variant("start", "Platt on the largest probability", _DEFAULT.with_changes(start="logit")),
    "one head": Variant("cross-fitting", "off", _DEFAULT.with_changes(folds=0)),
    AS_WRITTEN: Variant("all of it", "METHOD.md as written", WRITTEN),
}


def fit(labelled: Examples, *, seed: int = 0) -> dict[str, Headed]:
    """A predictor per variant; raises as `calib.learn.recipe.train`."""
    return train({name: variant.recipe for name, variant in VARIANTS.items()}, labelled, seed=seed)
