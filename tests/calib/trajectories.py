"""Fifty steps of each loop in float64, small enough that the order of a sum hardly matters.

`python -m tests.calib.trajectories` writes data/trajectories.json anew. Do so only where training was meant to change,
and say in the commit what changed it.
"""

import json
from pathlib import Path

import torch

from routecal.calib.head import ConfidenceHead, HeadConfig
from routecal.calib.learn import rl, sft
from routecal.calib.learn.rl import PRESETS, RLConfig
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.learn.training_loop import StepLog
from tests.calib.made import examples, fit

STORED = Path(__file__).parent / "data" / "trajectories.json"
STEPS = 50
KEPT = ("loss", "reward", "mean_p", "std_p", "kl", "grad_variance", "validation_brier")

# 80 rows in batches of 16: 5 steps an epoch, 10 epochs.
RUN = {"epochs": 10, "batch": 16, "lr": 3e-3, "early_stopping": False}
CONFIGS: dict[str, SFTConfig | RLConfig] = {
    "sft": SFTConfig(**RUN),
    "rl proper": RLConfig(**RUN),
    "rl as-written": PRESETS["as-written"].model_copy(update=RUN),
    "rl with every term": RLConfig(
        **RUN,
        reward="cost_weighted",
        cost_ratio=3,
        calibration="smooth",
        calibration_weight=0.3,
        ranking_weight=0.5,
        draws=4,
    ),
}


def trained(name: str) -> tuple[ConfidenceHead, list[StepLog]]:
    """A new head after the run of that name, and its log."""
    head, cfg = ConfidenceHead(HeadConfig(width=4, hidden_units=8), seed=1).double(), CONFIGS[name]
    steps = sft.steps if isinstance(cfg, SFTConfig) else rl.steps
    return head, fit(steps, head, examples(80, seed=1, width=4), examples(60, seed=2, width=4), cfg)


def trajectory(name: str) -> dict[str, list[float | None]]:
    """What is kept of every step of that run, by field."""
    logs = trained(name)[1]
    return {field: [getattr(log, field) for log in logs] for field in KEPT}


if __name__ == "__main__":
    torch.set_num_threads(1)
    stored = {name: trajectory(name) for name in CONFIGS}
    STORED.write_text(json.dumps(stored, indent=1).replace("\n   ", " ") + "\n", encoding="utf-8")
