import math

import pytest
import torch
from scipy.stats import beta as beta_distribution

from routecal.calib.learn.confidence_policy import SHAPE_FLOOR, Beta, LogitNormal, expectation, keep_in_range
from routecal.calib.learn.rewards import brier

F64 = torch.float64
Z = torch.tensor([-4.0, -0.5, 0.0, 2.0], dtype=F64)
POLICIES = [LogitNormal(0.3), LogitNormal(2.0), Beta(2.0), Beta(40.0), Beta(500.0)]
each = pytest.mark.parametrize("policy", POLICIES, ids=lambda p: f"{type(p).__name__}-{p.width.item():g}")


@each
def test_draws_have_the_mean_and_spread_of_the_density(policy):
    k = 100_000
    p = policy.draw(Z, k, torch.Generator().manual_seed(0)).sigmoid()
    mean, square = (expectation(policy, Z, lambda x, n=n: x.sigmoid() ** n) for n in (1, 2))
    std = (square - mean**2).sqrt()
    assert ((p.mean(0) - mean).abs() < 4.5 * std / k**0.5).all()
    torch.testing.assert_close(p.std(0), std, rtol=0.05, atol=0)


@each
def test_score_is_the_slope_of_the_log_density(policy):
    z = Z.clone().requires_grad_()
    x = policy.draw(z, 3, torch.Generator().manual_seed(0))
    (slope,) = torch.autograd.grad(policy.log_prob(x, z)[1].sum(), z)
    torch.testing.assert_close(policy.score(x, z)[1], slope)
    assert not policy.score(x, z).requires_grad


@each
def test_entropy_is_that_of_p(policy):
    """-E[log density of p], the density of p being that of x over p (1-p)."""
    k = 100_000
    x = policy.draw(Z, k, torch.Generator().manual_seed(1))
    constant = math.log(2 * math.pi) / 2 if isinstance(policy, LogitNormal) else 0.0
    surprise = constant - policy.log_prob(x, Z) + torch.nn.functional.logsigmoid(x) - torch.nn.functional.softplus(x)
    assert ((surprise.mean(0) - policy.entropy(Z)).abs() < 4.5 * surprise.std(0) / k**0.5).all()


def test_uniform_confidence_has_entropy_0_and_the_beta_policy_is_scipys():
    uniform = Beta(2.0)
    assert uniform.entropy(torch.zeros(1, dtype=F64)).item() == pytest.approx(0, abs=1e-12)
    a, b = (shape.numpy() for shape in Beta(10.0).shapes(Z))
    torch.testing.assert_close(Beta(10.0).entropy(Z), torch.from_numpy(beta_distribution.entropy(a, b)))


@pytest.mark.parametrize("concentration", [10.0, 40.0, 4000.0])
def test_quadrature_agrees_with_closed_moments_values_and_slopes(concentration):
    z = torch.linspace(-9, 9, 37, dtype=F64, requires_grad=True)
    policy = Beta(concentration)
    for n, moment in enumerate(policy.moments(z), 1):
        numeric = expectation(policy, z, lambda x, n=n: x.sigmoid() ** n)
        torch.testing.assert_close(numeric, moment, rtol=0, atol=1e-7)
        slopes = (torch.autograd.grad(value.sum(), z, retain_graph=True)[0] for value in (numeric, moment))
        torch.testing.assert_close(*slopes, rtol=0, atol=1e-6)


@pytest.mark.parametrize("q", [0.1, 0.3])
@pytest.mark.parametrize("policy", [LogitNormal(0.1), Beta(400.0)], ids=["logit-normal", "beta"])
def test_the_best_centre_under_brier_is_off_by_what_the_docstring_says(policy, q):
    """Bisection on the slope of the expected reward in z."""
    low, high = -4.0, 1.0
    for _ in range(40):
        z = torch.tensor([(low + high) / 2], dtype=F64, requires_grad=True)
        expected = expectation(policy, z, lambda x: brier(x.sigmoid(), torch.tensor(q, dtype=F64)))
        low, high = (z.item(), high) if torch.autograd.grad(expected.sum(), z)[0] > 0 else (low, z.item())
    said = -(1 - 2 * q) / 800 if isinstance(policy, Beta) else -0.015 * q * (1 - q) * (1 - 2 * q)
    assert z.sigmoid().item() - q == pytest.approx(said, rel=0.02)


def test_draws_of_extreme_means_are_finite_in_float32():
    z = torch.tensor([-200.0, -30.0, 30.0, 200.0], requires_grad=True)
    for policy in POLICIES:
        x = policy.draw(z, 50, torch.Generator().manual_seed(0))
        assert x.dtype == torch.float32
        assert torch.isfinite(policy.log_prob(x, z)).all()
        assert torch.isfinite(policy.entropy(z)).all()
    assert Beta(40.0).shapes(z)[0].min().item() == pytest.approx(SHAPE_FLOOR)


def test_same_generator_same_draws_and_the_global_one_is_left_alone():
    before = torch.random.get_rng_state()
    for policy in POLICIES:
        one, other = (policy.draw(Z, 4, torch.Generator().manual_seed(3)) for _ in range(2))
        assert torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_learned_width_stays_within_its_factor():
    policy = LogitNormal(0.3, learned=True)
    with torch.no_grad():
        policy.log_factor.add_(9)
    keep_in_range(policy)
    assert policy.width.item() == pytest.approx(1.5)
    assert policy.width.requires_grad
    assert not Beta(4.0).width.requires_grad
