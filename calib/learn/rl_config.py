"""The hyperparameters of RL, and the presets."""

from typing import Literal

from pydantic import ConfigDict, Field

from routecal.calib.errors import known
from routecal.calib.learn import rewards
from routecal.calib.learn.reward_names import RewardName
from routecal.calib.settings import RewardSettings


class RLConfig(RewardSettings):
    """How to train in RL."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reward: RewardName = Field(
        default="brier",
        description="key of calib.learn.rewards; calibration is METHOD.md's name for linear, which is improper",
    )
    allow_improper: bool = Field(
        default=False, description="an improper reward or the surrogate is meant, as in ablations: do not warn"
    )
    estimator: Literal["score_function", "exact", "surrogate"] = Field(
        default="score_function",
        description="score_function: sampled confidences with a baseline; exact: its expectation, by quadrature; "
        "surrogate: METHOD.md's -(p r).mean()",
    )
    draws: int = Field(default=16, ge=2, le=1024, description="confidences drawn per row and step (score_function)")
    epochs: int = Field(default=30, ge=0, le=1000, description="passes over the rows, at most")
    lr: float = Field(default=3e-5, gt=0, le=1, description="learning rate of AdamW")
    batch: int | None = Field(
        default=None, ge=1, description="rows per step; default: 64, of 6,400 rows and more a hundredth, at most 1,024"
    )
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW's, on all parameters of the head")
    calibration: Literal["as-written", "smooth", "none"] = Field(
        default="as-written",
        description="calibration term: as-written: |mean p - mean y| of the batch; smooth: squared kernel error (MMCE)",
    )
    calibration_weight: float = Field(default=0.0, ge=0, description="of the calibration term; 0 is off")
    ranking_weight: float = Field(default=0.0, ge=0, description="of the ranking term; 0 is off")
    margin: float = Field(default=0.3, ge=0, le=1, description="wanted by the ranking term")
    early_stopping: bool = Field(default=True, description="stop when stale, and keep the best epoch (0 included)")
    patience: int = Field(default=5, ge=1, description="epochs without a better validation Brier before stopping")
    seed: int = Field(default=0, ge=0, description="of shuffling, dropout and draws")

    @property
    def reward_function(self) -> rewards.Reward:
        """The reward with its parameters.

        >>> RLConfig(reward="beta", reward_alpha=2).reward_function.keywords
        {'alpha': 2.0, 'beta': 1.0}
        """
        match self.reward:
            case "beta":
                return rewards.get_reward("beta", alpha=self.reward_alpha, beta=self.reward_beta)
            case "cost_weighted":
                return rewards.get_reward("cost_weighted", cost_ratio=self.cost_ratio)
            case _:
                return rewards.get_reward(self.reward)

    @property
    def improper(self) -> str | None:
        """Why the best answer is not the true rate, or None where it is.

        >>> RLConfig(estimator="surrogate").improper
        'the surrogate -mean(p r) pays for a large p itself, whatever the reward'
        """
        if self.estimator == "surrogate":
            return "the surrogate -mean(p r) pays for a large p itself, whatever the reward"
        return rewards.IMPROPER.get(rewards.canonical(self.reward))


# Measured on five sets of real outcomes with an imitated router, 8 random splits each (at most 500 train, 250
# calibration, 250 validation), after SFT at lr 3e-4. Mean Brier change against SFT in 1e-4, ± one standard error over
# the 40 cells; cells share rows, so it is too narrow. RL on calibration: -1.6 ± .4 at lr 3e-5, -2.4 ± 1.1 at 1e-4; at
# 3e-5 on train: +.8 ± .4, on both: +2.4 ± 1.2. With a recalibrator fitted on the very rows RL saw: -1.3 ± 3.3 at 3e-5,
# +8.5 ± 7.9 at 1e-4; hence the low rate. calibration_weight .3 did .4 (3e-5) and 1.3 (1e-4) worse than 0,
# ranking_weight .5 (1e-4) the same as 0: both are off. as-written: +182 ± 19, mean confidence .11 above accuracy.
# All with a spread of .3. It is .1 now, whose centres lie nearer to the true rates (calib/learn/confidence_policy.py).
PRESETS: dict[str, RLConfig] = {
    "proper": RLConfig(),
    "as-written": RLConfig(
        reward="linear",
        estimator="surrogate",
        epochs=10,
        lr=1e-3,  # METHOD.md names no rate: the default of torch.optim
        calibration_weight=0.3,
        ranking_weight=0.5,
        allow_improper=True,
        early_stopping=False,
    ),
}


def preset(name: str) -> RLConfig:
    """The preset of that name.

    Raises:
        UnknownName: no such preset; lists those there are.

    >>> preset("as-written").reward
    'linear'
    """
    return known("preset", name, PRESETS)
