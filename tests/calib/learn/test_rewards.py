import pickle
import warnings

import pytest
import torch
from scipy.stats import beta as beta_distribution

from routecal.calib.errors import OutOfRange, UnknownName
from routecal.calib.learn import rewards
from routecal.calib.learn.beta_reward import escalation_threshold
from routecal.calib.learn.rewards import LOG_EPS, ImproperReward

F64 = torch.float64
GRID = torch.linspace(0, 1, 101, dtype=F64)
ONE, ZERO = torch.ones((), dtype=F64), torch.zeros((), dtype=F64)
# Below this, two expected rewards are the same number.
TIE = 1e-14

PARAMETERS = {
    "beta": ({}, {"alpha": 2.0, "beta": 1.0}, {"alpha": 0.5, "beta": 0.5}, {"alpha": 0.7, "beta": 2.5}),
    "cost_weighted": ({}, {"cost_ratio": 9.0}, {"cost_ratio": 0.25}, {"cost_ratio": 3.0, "concentration": 0.0}),
}
CASES = [(name, given) for name in rewards.REWARDS for given in PARAMETERS.get(name, ({},))]
each = pytest.mark.parametrize(
    ("name", "given"), CASES, ids=[f"{n}-{'-'.join(map(str, g.values()))}" for n, g in CASES]
)


def best_answers(reward: rewards.Reward, q: float, grid: torch.Tensor = GRID) -> list[float]:
    """Every p of the grid with the largest expected reward under Bernoulli(q)."""
    expected = q * reward(grid, ONE) + (1 - q) * reward(grid, ZERO)
    return grid[expected >= expected.max() - TIE].tolist()


def misled(reward: rewards.Reward) -> list[float]:
    """The true rates q of the grid, 0 and 1 included, at which the one best answer is not q."""
    return [q for q in GRID.tolist() if best_answers(reward, q) != [q]]


@each
def test_expected_reward_peaks_at_the_true_rate_and_only_there(name, given):
    wrong = misled(rewards.get_reward(name, **given))
    if name in rewards.IMPROPER:
        assert len(wrong) > 50
    else:
        assert not wrong


def test_the_test_of_propriety_finds_rewards_that_are_nearly_proper():
    assert misled(lambda p, y: -((y - p).abs() ** 1.9))
    assert misled(lambda p, y: rewards.brier(p, y) + 0.02 * p)


@pytest.mark.parametrize("q", [0.0, LOG_EPS / 3, LOG_EPS])
@pytest.mark.parametrize("mirror", [False, True])
def test_the_clipped_log_calls_all_answers_beyond_the_clip_equally_good(q, mirror):
    grid = torch.tensor([0.0, LOG_EPS / 3, LOG_EPS, 2 * LOG_EPS, 3 * LOG_EPS], dtype=F64)
    beyond = grid[:3]
    if mirror:
        q, grid, beyond = 1 - q, 1 - grid, 1 - beyond
    assert best_answers(rewards.log, q, grid) == beyond.tolist()
    inside = grid[3].item()
    assert best_answers(rewards.log, inside, grid) == [inside]


def test_improper_rewards_exist_and_say_why():
    assert rewards.IMPROPER.keys() <= rewards.REWARDS.keys()
    assert all(rewards.IMPROPER.values())


@pytest.mark.parametrize("q", [0.2, 0.499, 0.501, 0.9])
def test_linear_answers_0_or_1(q):
    assert best_answers(rewards.linear, q) == [float(q > 0.5)]


def test_linear_is_method_md():
    p = torch.tensor([1.0, 0.5, 0.0, 0.5, 1.0])
    y = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0])
    assert rewards.linear(p, y).tolist() == [1.0, 0.5, 1.0, 0.5, 0.0]


@each
def test_draws_broadcast_over_rows_and_gradients_are_finite(name, given):
    p = torch.tensor([[0.0, 1.0], [0.3, 0.6]], dtype=F64, requires_grad=True)
    r = rewards.get_reward(name, **given)(p, torch.tensor([0.0, 1.0]))
    r.sum().backward()
    assert r.shape == (2, 2)
    assert torch.isfinite(p.grad).all()


@each
def test_soft_outcomes_earn_the_expectation(name, given):
    reward, share = rewards.get_reward(name, **given), torch.linspace(0, 1, 7, dtype=F64)[:, None].expand(-1, len(GRID))
    expected = share * reward(GRID, ONE) + (1 - share) * reward(GRID, ZERO)
    torch.testing.assert_close(reward(GRID.expand(7, -1), share), expected, rtol=0, atol=1e-14)


@each
def test_slopes_are_right_at_soft_and_hard_outcomes(name, given):
    p = torch.tensor([0.1, 0.45, 0.9], dtype=F64, requires_grad=True)
    y = torch.tensor([0.0, 0.3, 1.0], dtype=F64)
    assert torch.autograd.gradcheck(lambda p: rewards.get_reward(name, **given)(p, y), p)


@each
def test_rewards_pickle_and_keep_their_dtype(name, given):
    reward = pickle.loads(pickle.dumps(rewards.get_reward(name, **given)))
    assert reward(torch.tensor(0.5), torch.tensor(1.0)).dtype == torch.float32


def test_beta_1_1_is_brier_values_and_slopes():
    one, two = (GRID.clone().requires_grad_() for _ in range(2))
    for y in (0.0, 0.3, 1.0):
        r, brier = rewards.beta(one, torch.tensor(y, dtype=F64)), rewards.brier(two, torch.tensor(y, dtype=F64))
        torch.testing.assert_close(r, brier, rtol=0, atol=1e-15)
        torch.testing.assert_close(
            torch.autograd.grad(r.sum(), one), torch.autograd.grad(brier.sum(), two), rtol=0, atol=1e-14
        )


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 5.0), (0.5, 0.5), (30.0, 4.0)])
def test_beta_is_the_integral_of_its_weight(alpha, beta):
    """r(p, 1) - r(p', 1) = 2 ∫ (1-t) w(t) dt from p' to p, and 2 ∫ t w(t) dt the other way: Simpson's rule."""
    t = torch.linspace(0.2, 0.8, 20001, dtype=F64)
    w = torch.from_numpy(beta_distribution(alpha, beta).pdf(t.numpy()))
    simpson = torch.ones_like(t)
    simpson[1:-1:2], simpson[2:-1:2] = 4, 2
    for y, slope in ((ONE, (1 - t) * w), (ZERO, -t * w)):
        low, high = rewards.beta(torch.tensor([0.2, 0.8], dtype=F64), y, alpha=alpha, beta=beta)
        integral = 2 * (simpson * slope).sum() * (t[1] - t[0]) / 3
        assert (high - low).item() == pytest.approx(integral.item(), abs=1e-12)


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (4.0, 2.0), (0.5, 3.0)])
def test_beta_is_bounded_by_certainty_right_and_wrong(alpha, beta):
    both = alpha + beta
    assert rewards.beta(ONE, ONE, alpha=alpha, beta=beta).item() == pytest.approx(1)
    assert rewards.beta(ZERO, ZERO, alpha=alpha, beta=beta).item() == pytest.approx(1)
    assert rewards.beta(ZERO, ONE, alpha=alpha, beta=beta).item() == pytest.approx(1 - 2 * beta / both)
    assert rewards.beta(ONE, ZERO, alpha=alpha, beta=beta).item() == pytest.approx(1 - 2 * alpha / both)


@pytest.mark.parametrize("ratio", [0.25, 1.0, 4.0])
def test_cost_weight_peaks_at_the_threshold(ratio):
    """Between y = 1 and y = 0 the slopes differ by 2 w(p)."""
    p = torch.linspace(0.005, 0.995, 199, dtype=F64, requires_grad=True)
    slopes = [torch.autograd.grad(rewards.cost_weighted(p, y, cost_ratio=ratio).sum(), p)[0] for y in (ONE, ZERO)]
    assert p[(slopes[0] - slopes[1]).argmax()].item() == pytest.approx(escalation_threshold(ratio), abs=0.0026)


def test_at_the_threshold_keeping_and_escalating_cost_the_same():
    p = escalation_threshold(7.0)
    assert (1 - p) * 7.0 == pytest.approx(p)


def test_parameters_out_of_range_are_named():
    p = torch.tensor(0.5)
    with pytest.raises(OutOfRange, match="alpha = 0 is not allowed"):
        rewards.beta(p, p, alpha=0)
    with pytest.raises(OutOfRange, match="cost_ratio = -1"):
        rewards.cost_weighted(p, p, cost_ratio=-1)
    with pytest.raises(OutOfRange, match=r"concentration = nan"):
        rewards.cost_weighted(p, p, concentration=float("nan"))


def test_calibration_is_an_alias_and_others_are_refused():
    assert rewards.get_reward("calibration") is rewards.linear
    with pytest.raises(UnknownName, match=", ".join(sorted(rewards.REWARDS))):
        rewards.get_reward("Brier")


def test_the_warning_says_what_is_wrong_and_pickles():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn(pickle.loads(pickle.dumps(ImproperReward("linear", "surrogate", "because"))), stacklevel=1)
    assert "reward linear (surrogate) is improper: because" in str(caught[0].message)
