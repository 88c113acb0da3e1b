import pytest
import torch

from calib import rewards
from calib.errors import UnknownName

GRID = torch.linspace(0, 1, 101, dtype=torch.float64)


def best_answer(name: str, q: float) -> float:
    """The p of the grid with the largest expected reward under Bernoulli(q)."""
    one, zero = torch.ones(()), torch.zeros(())
    reward = rewards.get(name)
    return GRID[(q * reward(GRID, one) + (1 - q) * reward(GRID, zero)).argmax()].item()


@pytest.mark.parametrize("q", [0.05, 0.2, 0.4, 0.65, 0.9])
@pytest.mark.parametrize("name", rewards.REWARDS)
def test_expected_reward_peaks_at_the_true_rate(name, q):
    if name in rewards.IMPROPER:
        assert best_answer(name, q) in (0.0, 1.0)
    else:
        assert best_answer(name, q) == pytest.approx(q, abs=1e-9)


def test_improper_rewards_exist_and_say_why():
    assert rewards.IMPROPER.keys() <= rewards.REWARDS.keys()
    assert all(rewards.IMPROPER.values())


def test_linear_is_method_md():
    p = torch.tensor([1.0, 0.5, 0.0, 0.5, 1.0])
    y = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0])
    assert rewards.linear(p, y).tolist() == [1.0, 0.5, 1.0, 0.5, 0.0]


@pytest.mark.parametrize("name", rewards.REWARDS)
def test_draws_broadcast_over_rows_and_gradients_are_finite(name):
    p = torch.tensor([[0.0, 1.0], [0.3, 0.6]], dtype=torch.float64, requires_grad=True)
    r = rewards.get(name)(p, torch.tensor([0.0, 1.0]))
    r.sum().backward()
    assert r.shape == (2, 2)
    assert torch.isfinite(p.grad).all()


def test_calibration_is_an_alias_and_others_are_refused():
    assert rewards.get("calibration") is rewards.linear
    with pytest.raises(UnknownName, match="beta, brier, cost_weighted, linear, log, spherical"):
        rewards.get("Brier")
