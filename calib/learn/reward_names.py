"""The names of rewards, apart from the rewards: a form shows them, and must not load torch for it."""

from typing import Literal

# Keys of calib.learn.rewards and their aliases, written out for a form to show them; a test compares the two.
RewardName = Literal["linear", "calibration", "brier", "log", "spherical", "beta", "cost_weighted"]
