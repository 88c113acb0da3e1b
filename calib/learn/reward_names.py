"""The names of rewards, apart from the rewards: a form shows them, and must not load torch for it."""

from typing import TYPE_CHECKING, Literal

# Each is a function of that name in calib.learn.rewards, or what METHOD.md calls one (--reward-type calibration).
ALIASES = {"calibration": "linear"}
REWARD_NAMES = (
    "linear",
    "calibration",
    "brier",
    "log",
    "spherical",
    "beta",
    "cost_weighted",
)

if TYPE_CHECKING:
    RewardName = str
else:
    RewardName = Literal[REWARD_NAMES]
