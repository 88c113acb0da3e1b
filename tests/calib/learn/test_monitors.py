import pytest
import torch

from routecal.calib.learn.monitors import TrainingHealth, gradient_variance, mass_at_ends
from routecal.calib.learn.rl import RLConfig, estimate

F64 = torch.float64


@pytest.mark.parametrize("draws", [16, 64])
def test_reported_variance_is_that_of_repeated_gradients(draws):
    n = 20_000
    z, y = torch.full((n,), 0.7, dtype=F64, requires_grad=True), torch.ones(n, dtype=F64)
    found = estimate(z, y, RLConfig(draws=draws), torch.Generator().manual_seed(0))
    (per_row,) = torch.autograd.grad(n * found.loss, z)
    assert found.variance.item() == pytest.approx(per_row.var().item(), rel=0.08)


def test_variance_by_hand():
    # draws 1, 3, 2 with baselines 2.5, 1.5, 2: g = -1.5, 1.5, 0 of scores 1; variance 2.25, over 3 draws
    score, r = torch.ones(3, 1), torch.tensor([[1.0], [3.0], [2.0]])
    assert gradient_variance(score, r).item() == pytest.approx(0.75)


def test_health_of_a_constant_of_the_ends_and_of_a_perfect_head():
    y = torch.tensor([0.0, 1.0, 1.0, 0.0])
    constant, ends, perfect = (TrainingHealth.of(p, y) for p in (torch.full((4,), 0.5), 1 - y, y * 0.8 + 0.1))
    assert (constant.skill, constant.std, constant.mass_at_ends, constant.collapsed) == (0, 0, 0, True)
    assert (ends.skill, ends.mass_at_ends, ends.collapsed) == (-3, 1, True)
    assert perfect.brier == pytest.approx(0.01)
    assert perfect.skill == pytest.approx(1 - 0.01 / 0.25)
    assert not perfect.collapsed


def test_there_is_no_skill_where_nothing_varies():
    assert TrainingHealth.of(torch.tensor([0.2, 0.9]), torch.ones(2)).skill is None


def test_mass_counts_both_ends_and_nothing_between():
    assert mass_at_ends(torch.tensor([0.0005, 0.002, 0.998, 0.9995, 1.0])) == pytest.approx(0.6)
