import pytest
import torch

from calib import rewards
from calib.losses import calibration_gap, leave_one_out, ranking_gap, score_function, surrogate
from calib.rl import RLConfig, policy_gradient

F64 = torch.float64


def test_surrogate_gradient_flows_through_both_factors():
    # y = 1: p r = p², slope 2p; y = 0: p r = p (1-p), slope 1 - 2p; at p = .25: .5 and .5; minus, over 2 rows
    p = torch.tensor([0.25, 0.25], dtype=F64, requires_grad=True)
    surrogate(p, rewards.linear(p, torch.tensor([1.0, 0.0]))).backward()
    assert p.grad.tolist() == [-0.25, -0.25]


@pytest.mark.parametrize(("q", "best"), [(0.2, 2 / 3), (0.34, 1.0), (0.5, 1.0), (0.8, 1.0)])
def test_as_written_prefers_certainty_from_one_third_on(q, best):
    # q p² + (1-q) p (1-p) is largest at (1-q) / (2 (1-2q)) while that is below 1: for q = .2 at .8/1.2 = 2/3
    grid = torch.linspace(0, 1, 3001, dtype=F64)
    value = q * grid * rewards.linear(grid, torch.ones(())) + (1 - q) * grid * rewards.linear(grid, torch.zeros(()))
    assert grid[value.argmax()].item() == pytest.approx(best, abs=1e-3)


def test_leave_one_out_is_the_mean_of_the_others():
    r = torch.arange(12, dtype=F64).reshape(4, 3) ** 2
    expected = torch.stack([torch.cat([r[:j], r[j + 1 :]]).mean(0) for j in range(4)])
    torch.testing.assert_close(leave_one_out(r), expected)


def test_score_function_ignores_a_constant_added_to_the_reward():
    log_prob = torch.randn((4, 3), generator=torch.Generator().manual_seed(0), dtype=F64)
    r = torch.rand((4, 3), generator=torch.Generator().manual_seed(1), dtype=F64)
    torch.testing.assert_close(score_function(log_prob, r), score_function(log_prob, r + 100))


@pytest.mark.parametrize("reward", ["brier", "log", "spherical", "linear"])
def test_score_function_estimates_the_gradient_of_the_expected_reward(reward):
    """Against the integral over the same logit-normal policy, by a fine quadrature in float64."""
    cfg = RLConfig(reward=reward, spread=0.4).model_copy(update={"draws": 200_000})  # far beyond what is allowed
    z, y = torch.tensor([-0.5, 1.0], dtype=F64, requires_grad=True), torch.tensor([1.0, 0.0], dtype=F64)
    loss, _ = policy_gradient(z, y, cfg, torch.Generator().manual_seed(0))
    (sampled,) = torch.autograd.grad(loss, z)

    noise = torch.linspace(-6, 6, 2001, dtype=F64)[:, None]
    weight = torch.exp(-(noise**2) / 2)
    r = rewards.get(reward)((z + cfg.spread * noise).sigmoid(), y)
    (exact,) = torch.autograd.grad(-((weight * r).sum(0) / weight.sum()).mean(), z)
    torch.testing.assert_close(sampled, exact, rtol=0.03, atol=1e-3)


def test_brier_policy_gradient_is_nearly_that_of_the_squared_error():
    """DESIGN 5.2: RL on the Brier reward has the optimum of SFT; the narrower the policy, the closer."""
    z, y = torch.tensor([-0.5, 1.0], dtype=F64, requires_grad=True), torch.tensor([1.0, 0.0], dtype=F64)
    cfg = RLConfig(spread=0.05).model_copy(update={"draws": 200_000})
    loss, _ = policy_gradient(z, y, cfg, torch.Generator().manual_seed(0))
    (rl,) = torch.autograd.grad(loss, z)
    (sft,) = torch.autograd.grad((z.sigmoid() - y).square().mean(), z)
    torch.testing.assert_close(rl, sft, rtol=0.03, atol=1e-3)


def test_gaps_pass_gradcheck():
    p, y = torch.tensor([0.2, 0.7, 0.6], dtype=F64, requires_grad=True), torch.tensor([0.0, 1.0, 0.0])
    assert torch.autograd.gradcheck(lambda p: calibration_gap(p, y), p)
    assert torch.autograd.gradcheck(lambda p: ranking_gap(p, y, margin=0.5), p)


def test_ranking_gap_by_hand():
    # right .7, wrong mean (.2 + .6)/2 = .4: apart by .3
    p, y = torch.tensor([0.2, 0.7, 0.6]), torch.tensor([0.0, 1.0, 0.0])
    assert ranking_gap(p, y, margin=0.5).item() == pytest.approx(0.2)
    assert ranking_gap(p, y, margin=0.1).item() == 0


@pytest.mark.parametrize("y", [[0.0, 0.0], [1.0, 1.0]])
def test_ranking_gap_of_one_class_is_zero_with_a_graph(y):
    p = torch.tensor([0.2, 0.7], requires_grad=True)
    loss = ranking_gap(p, torch.tensor(y))
    loss.backward()
    assert loss.item() == 0
    assert p.grad.tolist() == [0, 0]
