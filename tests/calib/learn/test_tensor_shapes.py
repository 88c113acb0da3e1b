"""Every public torch function refuses what torch would broadcast, and takes what it is made for."""

import inspect
import pickle
import typing

import pytest
import torch
from torch import Tensor

from routecal.calib.errors import ShapeMismatch, TooFewExamples
from routecal.calib.learn import confidence_policy, losses, monitors, rewards, rl
from routecal.calib.learn.confidence_policy import LogitNormal
from routecal.calib.learn.rl_config import RLConfig

B, K = 4, 3
ROW, COLUMN, LONG, DRAWS = (B,), (B, 1), (B + 1,), (K, B)

# What is done with p and y: rewards are elementwise; losses take rows, or draws of them.
ON_ROWS = [losses.surrogate, losses.calibration_gap, losses.smooth_calibration_gap, losses.ranking_gap]
ON_ROWS += [losses.bernoulli_kl]
ON_DRAWS = [losses.score_function, monitors.gradient_variance]
POLICIES = [LogitNormal()]
ESTIMATORS = ["score_function", "exact", "surrogate"]


def filled(*shape: int) -> Tensor:
    return torch.linspace(0.1, 0.9, int(torch.tensor(shape).prod()) if shape else 1).reshape(shape)


def test_no_function_is_forgotten() -> None:
    """A new loss, or another function of two tensors, is to be listed here."""
    hints = {f: typing.get_type_hints(f) for _, f in inspect.getmembers(losses, inspect.isfunction)}
    public = {f for f, hint in hints.items() if f.__module__ == losses.__name__ and hint.get("return") is Tensor}
    assert public == {*ON_ROWS, losses.score_function, losses.leave_one_out}


@pytest.mark.parametrize("name", rewards.REWARDS)
@pytest.mark.parametrize(("p", "y"), [(ROW, COLUMN), (COLUMN, ROW), (ROW, LONG), (DRAWS, LONG), ((), ROW), (ROW, (1,))])
def test_a_reward_refuses(name: str, p: tuple[int, ...], y: tuple[int, ...]) -> None:
    with pytest.raises(ShapeMismatch) as refused:
        rewards.get_reward(name)(filled(*p), filled(*y))
    assert str(refused.value).startswith(f"p has shape {p}, y has shape {y}; give y the shape of p")
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)


@pytest.mark.parametrize("name", rewards.REWARDS)
@pytest.mark.parametrize(("p", "y"), [(ROW, ROW), (DRAWS, ROW), (DRAWS, DRAWS), (ROW, ()), ((), ())])
def test_a_reward_takes_draws_of_the_same_rows(name: str, p: tuple[int, ...], y: tuple[int, ...]) -> None:
    r = rewards.get_reward(name)(filled(*p), filled(*y))
    assert r.shape == p
    torch.testing.assert_close(r, rewards.get_reward(name)(filled(*p), filled(*y).expand(p)))


@pytest.mark.parametrize("loss", ON_ROWS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(("p", "y"), [(COLUMN, ROW), (ROW, COLUMN), (COLUMN, COLUMN), (ROW, LONG), (ROW, ()), ((), ())])
def test_a_loss_refuses(loss, p: tuple[int, ...], y: tuple[int, ...]) -> None:
    with pytest.raises(ShapeMismatch, match=r"has shape .* has shape .*; give one value per row, \(b,\)"):
        loss(filled(*p), filled(*y))


@pytest.mark.parametrize("loss", ON_ROWS, ids=lambda f: f.__name__)
def test_a_loss_of_no_rows_is_not_nan(loss) -> None:
    with pytest.raises(TooFewExamples):
        loss(torch.zeros(0), torch.zeros(0))


@pytest.mark.parametrize("loss", ON_DRAWS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(("one", "other"), [(DRAWS, ROW), (ROW, DRAWS), (DRAWS, (K, 1)), ((1, B), (1, B)), (ROW, ROW)])
def test_a_loss_of_draws_refuses(loss, one: tuple[int, ...], other: tuple[int, ...]) -> None:
    with pytest.raises(ShapeMismatch, match=r"at least two draws per row, \(k, b\)"):
        loss(filled(*one), filled(*other))


@pytest.mark.parametrize("shape", [ROW, (1, B), (K, B, 1), ()])
def test_the_baseline_needs_other_draws(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeMismatch, match="r has shape"):
        losses.leave_one_out(filled(*shape))


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("z", [COLUMN, (), (1, B)])
def test_a_policy_refuses_logits_that_are_no_rows(policy, z: tuple[int, ...]) -> None:
    logits, rng = filled(*z), torch.Generator()
    for call in (lambda: policy.draw(logits, K, rng), lambda: policy.grid(logits)):
        with pytest.raises(ShapeMismatch, match="z has shape"):
            call()
    with pytest.raises(ShapeMismatch):
        confidence_policy.expectation(policy, logits, torch.sigmoid)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("x", [(K, 1), COLUMN, (K, B + 1), ()])
def test_a_policy_refuses_draws_of_other_rows(policy, x: tuple[int, ...]) -> None:
    for density in (policy.log_prob, policy.score):
        with pytest.raises(ShapeMismatch, match="x has shape"):
            density(filled(*x), filled(*ROW))


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(("z", "y"), [(ROW, COLUMN), (COLUMN, ROW), (ROW, LONG), (ROW, (1,))])
def test_the_policy_gradient_refuses(estimator: str, z: tuple[int, ...], y: tuple[int, ...]) -> None:
    with pytest.raises(ShapeMismatch, match=r"z has shape .* y has shape"):
        rl.estimate(filled(*z), filled(*y), RLConfig(estimator=estimator), torch.Generator())
    for policy in POLICIES:
        with pytest.raises(ShapeMismatch):
            rl.expected_reward(filled(*z), filled(*y), rewards.brier, policy)
