"""The names of rewards, apart from the rewards: a form shows them, and must not load torch for it."""

from typing import Literal

# Functions of calib.learn.rewards, and `calibration`, METHOD.md's name for `linear`. A new reward is a function there and a
# name here.
RewardName = Literal["linear", "calibration", "brier", "log", "spherical", "beta", "cost_weighted"]
