"""The gradient that RL follows, and its options."""

from typing import get_args

import numpy as np
import pytest
import torch

from routecal.calib.head import ConfidenceHead, HeadConfig
from routecal.calib.learn import rewards, rl, sft
from routecal.calib.learn.confidence_policy import LogitNormal
from routecal.calib.learn.reward_names import RewardName
from routecal.calib.learn.rewards import ImproperReward
from routecal.calib.learn.rl import PRESETS, RLConfig, estimate
from routecal.calib.learn.training_loop import frozen_logits
from tests.calib.made import examples, fit

F64 = torch.float64
TRAIN, VALIDATION = examples(300, seed=1), examples(200, seed=2)


def head() -> ConfidenceHead:
    return ConfidenceHead(HeadConfig(width=6, hidden_units=8))


def gradients(cfg: RLConfig, *, z: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Gradient of each row's expected reward in z, and its reported variance."""
    z = z.clone().requires_grad_()
    found = estimate(z, y, cfg, torch.Generator().manual_seed(0), policy=LogitNormal(0.5))
    (slope,) = torch.autograd.grad(-len(z) * found.loss, z)
    return slope, found.variance


@pytest.mark.parametrize("reward", rewards.REWARDS)
def test_the_sampled_gradient_converges_to_the_exact_one_as_its_variance_says(reward):
    """32 copies of one row: their mean is within 4.5 of its own standard errors, which 8,192 draws make small."""
    cfg = RLConfig(reward=reward, reward_alpha=2, cost_ratio=3, draws=256)
    for z0, y0 in ((-0.5, 1.0), (1.0, 0.0), (0.4, 0.3)):
        z, y = (torch.full((32,), value, dtype=F64) for value in (z0, y0))
        exact, none = gradients(cfg.model_copy(update={"estimator": "exact"}), z=z, y=y)
        sampled, variance = gradients(cfg, z=z, y=y)
        standard_error = (variance / len(z)).sqrt().item()
        assert none is None
        assert abs(sampled.mean() - exact.mean()).item() < 4.5 * standard_error
        assert standard_error < 0.05 * max(abs(exact.mean()).item(), 0.1)


def test_the_exact_brier_gradient_of_narrow_draws_is_that_of_the_squared_error():
    """E[r] = 1 - (y - m)² - var p: all but the last, which a spread of .01 makes negligible, is SFT's loss."""
    z = torch.tensor([-0.5, 1.0], dtype=F64, requires_grad=True)
    y = torch.tensor([1.0, 0.0], dtype=F64)
    narrow = estimate(z, y, RLConfig(estimator="exact"), torch.Generator(), policy=LogitNormal(0.01))
    (of_rl,) = torch.autograd.grad(narrow.loss, z)
    (of_sft,) = torch.autograd.grad((z.sigmoid() - y).square().mean(), z)
    torch.testing.assert_close(of_rl, of_sft, rtol=1e-3, atol=0)


@pytest.mark.parametrize("q", [0.3, 0.8])
@pytest.mark.parametrize(
    "cfg",
    [
        RLConfig(),
        RLConfig(reward="cost_weighted", cost_ratio=3),
        RLConfig(reward="beta", reward_alpha=0.5, reward_beta=0.5),
        RLConfig(reward="log"),
        RLConfig(reward="spherical", estimator="exact"),
    ],
    ids=["brier", "cost", "beta", "log", "exact"],
)
def test_proper_rewards_find_the_base_rate_where_there_is_nothing_else(cfg, q):
    rng = torch.Generator().manual_seed(0)
    y, z = (torch.arange(100) < q * 100).double(), torch.zeros((), dtype=F64, requires_grad=True)
    optimiser = torch.optim.Adam([z], lr=0.1)
    for _ in range(120):
        optimiser.zero_grad()
        estimate(z.expand(100), y, cfg, rng).loss.backward()
        optimiser.step()
    assert z.sigmoid().item() == pytest.approx(q, abs=0.03)


@pytest.mark.parametrize(
    ("cfg", "reason"),
    [
        (RLConfig(reward="linear"), "linear in p"),
        (RLConfig(reward="calibration"), "linear in p"),
        (RLConfig(reward="brier", estimator="surrogate"), "pays for a large p"),
    ],
)
def test_an_improper_configuration_warns_unless_it_is_meant(cfg, reason):
    cfg = cfg.model_copy(update={"epochs": 1, "batch": 300})
    with pytest.warns(ImproperReward, match=reason):
        fit(rl.steps, head(), TRAIN, VALIDATION, cfg)
    # warnings are errors here
    fit(rl.steps, head(), TRAIN, VALIDATION, cfg.model_copy(update={"allow_improper": True}))


def test_every_reward_can_be_configured():
    assert set(get_args(RewardName)) == rewards.REWARDS.keys() | {"calibration"}


def test_presets_say_what_they_mean():
    assert PRESETS["as-written"].allow_improper
    assert PRESETS["as-written"].improper is not None
    assert PRESETS["as-written"].calibration == "as-written"
    assert PRESETS["proper"].improper is None


def test_the_log_says_how_far_confidence_has_moved_from_where_it_started():
    logs = fit(rl.steps, head(), TRAIN, VALIDATION, RLConfig(epochs=4, lr=3e-3, early_stopping=False))
    assert logs[0].kl == pytest.approx(0, abs=1e-12)  # before the first step, and without dropout of a zero residual
    assert logs[-1].kl > 1e-4


def test_every_step_reports_what_is_watched():
    logs = fit(rl.steps, head(), TRAIN, VALIDATION, RLConfig(epochs=2, batch=150))
    assert all(log.grad_variance > 0 and 0 <= log.mass_at_ends <= 1 and log.kl >= 0 for log in logs)
    assert [log.skill is not None for log in logs] == [False, True] * 2
    exact = fit(rl.steps, head(), TRAIN, VALIDATION, RLConfig(epochs=1, estimator="exact"))
    assert all(log.grad_variance is None for log in exact)
    assert fit(sft.steps, head(), TRAIN, VALIDATION, sft.SFTConfig(epochs=1))[-1].skill is not None


@pytest.mark.parametrize("calibration", ["as-written", "smooth", "none"])
def test_calibration_terms_by_name(calibration):
    cfg = RLConfig(epochs=1, calibration=calibration, calibration_weight=0.3)
    logs = fit(rl.steps, head(), TRAIN, VALIDATION, cfg)
    assert ("calibration" in logs[0].terms) is (calibration != "none")


@pytest.mark.parametrize("loop", ["sft", "rl"])
def test_soft_targets_train_and_hard_ones_validate(loop):
    """Targets that contradict y turn what is learned around; without early stopping, which still looks at y."""
    hard = TRAIN
    turned = type(hard)(hard.hidden, hard.logits, hard.policy, hard.true_policy, hard.split, target=1 - hard.y)
    steps, cfg = (sft.steps, sft.SFTConfig) if loop == "sft" else (rl.steps, RLConfig)
    options = cfg(epochs=20, lr=1e-2, early_stopping=False)
    trained = [head(), head()]
    briers = [
        fit(steps, h, rows, VALIDATION, options)[-1].validation_brier
        for h, rows in zip(trained, (hard, turned), strict=True)
    ]
    assert briers[1] > briers[0] + 0.1
    p = [h.confidence(hard.hidden, hard.logits) for h in trained]
    assert np.corrcoef(p[0], p[1])[0, 1] < 0


def test_soft_targets_that_equal_y_change_nothing():
    same = type(TRAIN)(
        TRAIN.hidden, TRAIN.logits, TRAIN.policy, TRAIN.true_policy, TRAIN.split, target=TRAIN.y.astype(np.float32)
    )
    cfg = RLConfig(epochs=2)
    assert fit(rl.steps, head(), TRAIN, VALIDATION, cfg) == fit(rl.steps, head(), same, VALIDATION, cfg)


def test_frozen_logits_are_the_same_in_blocks(monkeypatch):
    trained = head()
    fit(sft.steps, trained, TRAIN, VALIDATION, sft.SFTConfig(epochs=1, lr=1e-2))
    rows = rl.TrainingRows.of(TRAIN, trained)
    whole = frozen_logits(trained, rows)
    monkeypatch.setattr("routecal.calib.learn.training_loop.BLOCK", 64)
    torch.testing.assert_close(frozen_logits(trained, rows), whole)
    assert not whole.requires_grad
