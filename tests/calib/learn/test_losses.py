import pytest
import torch

from routecal.calib.learn import rewards
from routecal.calib.learn.losses import (
    bernoulli_kl,
    calibration_gap,
    leave_one_out,
    ranking_gap,
    score_function,
    smooth_calibration_gap,
    surrogate,
)

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


def test_gaps_pass_gradcheck():
    p, y = torch.tensor([0.2, 0.7, 0.6], dtype=F64, requires_grad=True), torch.tensor([0.0, 1.0, 0.0])
    assert torch.autograd.gradcheck(lambda p: calibration_gap(p, y), p)
    assert torch.autograd.gradcheck(lambda p: ranking_gap(p, y, margin=0.5), p)
    assert torch.autograd.gradcheck(lambda p: smooth_calibration_gap(p, y), p)


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


def test_soft_outcomes_rank_and_calibrate_by_their_shares():
    # right: (.8 .9 + .4 .1)/1.3... by weights y = .9, .4: (.72 + .04)/1.3; wrong .1, .6: (.08 + .06)/.7
    p, y = torch.tensor([0.8, 0.1], dtype=F64), torch.tensor([0.9, 0.4], dtype=F64)
    assert ranking_gap(p, y, margin=0.5).item() == pytest.approx(0.5 - (0.76 / 1.3 - 0.14 / 0.7))
    assert calibration_gap(p, y).item() == pytest.approx(0.2)


def mmce(p: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The sum over pairs, pair by pair."""
    pairs = [(i, j) for i in range(len(p)) for j in range(len(p)) if i != j]
    terms = [(y[i] - p[i]) * (y[j] - p[j]) * torch.exp(-(p[i] - p[j]).abs() / 0.4) for i, j in pairs]
    return torch.stack(terms).mean()


def test_smooth_gap_is_the_mean_over_pairs():
    rng = torch.Generator().manual_seed(0)
    p, y = torch.rand(7, generator=rng, dtype=F64), torch.rand(7, generator=rng, dtype=F64).round()
    torch.testing.assert_close(smooth_calibration_gap(p, y), mmce(p, y))


@pytest.mark.parametrize("b", [2, 16])
def test_smooth_gap_has_no_bias_from_small_batches(b):
    """Calibrated p: 0 on average in batches of any size, where the squared errors alone would add Brier / b."""
    rng, n = torch.Generator().manual_seed(0), 4000
    p = torch.rand((n, b), generator=rng, dtype=F64)
    y = (torch.rand((n, b), generator=rng, dtype=F64) < p).double()
    gaps = torch.stack([smooth_calibration_gap(*row) for row in zip(p, y, strict=True)])
    standard_error = gaps.std().item() / n**0.5
    assert abs(gaps.mean().item()) < 4 * standard_error
    assert 6 * standard_error < (p - y).square().mean().item() / b


def test_smooth_gap_sees_errors_that_the_mean_hides():
    p = torch.tensor([0.1, 0.1, 0.9, 0.9], dtype=F64)
    y = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=F64).repeat(50)
    p = p.repeat(50)  # half are right at .1 as at .9: too low here, too high there
    assert calibration_gap(p, y).item() == pytest.approx(0, abs=1e-12)
    # errors +.4 at .1 and -.4 at .9 on average: .4² (1 + 1 - 2 exp(-.8 / .4)) / 4 of each pair of groups
    assert smooth_calibration_gap(p, y).item() == pytest.approx(0.16 * (1 - 2.718281828**-2) / 2, rel=0.05)


def test_smooth_gap_of_one_row_is_zero_with_a_graph():
    p = torch.tensor([0.2], requires_grad=True)
    smooth_calibration_gap(p, torch.ones(1)).backward()
    assert p.grad.tolist() == [0]


def test_kl_is_that_of_bernoulli_and_finite_at_the_ends():
    z, start = torch.tensor([0.3, -2.0], dtype=F64), torch.tensor([1.0, 0.5], dtype=F64)
    one, other = (torch.distributions.Bernoulli(logits=x) for x in (z, start))
    expected = torch.distributions.kl_divergence(one, other).mean()
    torch.testing.assert_close(bernoulli_kl(z, start), expected)
    assert bernoulli_kl(torch.tensor([200.0]), torch.tensor([-200.0])).item() == pytest.approx(200)
