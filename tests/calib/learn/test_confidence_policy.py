import pytest
import torch

from routecal.calib.learn.confidence_policy import LogitNormal, expectation
from routecal.calib.learn.rewards import brier

F64 = torch.float64
Z = torch.tensor([-4.0, -0.5, 0.0, 2.0], dtype=F64)
POLICIES = [LogitNormal(0.3), LogitNormal(2.0)]
each = pytest.mark.parametrize("policy", POLICIES, ids=lambda p: f"{p.spread:g}")


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
def test_the_log_density_is_that_of_a_normal_logit_up_to_a_constant(policy):
    x = policy.draw(Z, 3, torch.Generator().manual_seed(0))
    apart = torch.distributions.Normal(Z, policy.spread).log_prob(x) - policy.log_prob(x, Z)
    torch.testing.assert_close(apart, apart[0, 0].expand_as(apart))


@each
def test_quadrature_agrees_with_moments_in_value_and_slope(policy):
    """E[x²] = z² + spread² and E[exp x] = exp(z + spread²/2), whose slopes in z are 2z and itself."""
    z = torch.linspace(-9, 9, 37, dtype=F64, requires_grad=True)
    square, power = expectation(policy, z, lambda x: x**2), expectation(policy, z, torch.exp)
    slopes = [torch.autograd.grad(value.sum(), z, retain_graph=True)[0] for value in (square, power)]
    wanted = (z + policy.spread**2 / 2).exp().detach()
    torch.testing.assert_close(square.detach(), (z**2 + policy.spread**2).detach(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(power.detach(), wanted, rtol=1e-6, atol=0)
    torch.testing.assert_close(slopes[0], 2 * z.detach(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(slopes[1], wanted, rtol=1e-6, atol=0)


@pytest.mark.parametrize("q", [0.1, 0.3])
def test_the_best_centre_under_brier_is_off_by_what_the_docstring_says(q):
    """Bisection on the slope of the expected reward in z."""
    low, high = -4.0, 1.0
    for _ in range(40):
        z = torch.tensor([(low + high) / 2], dtype=F64, requires_grad=True)
        expected = expectation(LogitNormal(0.1), z, lambda x: brier(x.sigmoid(), torch.tensor(q, dtype=F64)))
        low, high = (z.item(), high) if torch.autograd.grad(expected.sum(), z)[0] > 0 else (low, z.item())
    assert z.sigmoid().item() - q == pytest.approx(-0.015 * q * (1 - q) * (1 - 2 * q), rel=0.02)


def test_draws_of_extreme_means_are_finite_in_float32():
    z = torch.tensor([-200.0, -30.0, 30.0, 200.0], requires_grad=True)
    for policy in POLICIES:
        x = policy.draw(z, 50, torch.Generator().manual_seed(0))
        assert x.dtype == torch.float32
        assert torch.isfinite(policy.log_prob(x, z)).all()


def test_same_generator_same_draws_and_the_global_one_is_left_alone():
    before = torch.random.get_rng_state()
    for policy in POLICIES:
        one, other = (policy.draw(Z, 4, torch.Generator().manual_seed(3)) for _ in range(2))
        assert torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)
