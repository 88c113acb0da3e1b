"""What every metric owes, whatever it measures."""

import numpy as np
import pytest

from routecal.calib.errors import InvalidLabel, InvalidProbability, LengthMismatch, TooFewExamples, UnknownName
from routecal.calib.metrics import METRICS, get_metric

RNG = np.random.default_rng(0)

EDGES = {
    "one row": ([0.3], [1]),
    "certain": ([0.0, 0.5, 1.0], [0, 1, 1]),
    "certain and wrong": ([0.0, 1.0], [1, 0]),
    "a constant": ([0.5] * 4, [0, 1, 1, 0]),
    "always right": ([0.2, 0.9], [1, 1]),
    "always wrong": ([0.2, 0.9], [0, 0]),
    "minus zero": ([-0.0, 0.0, 1.0], [0, 1, 1]),
    "smallest and largest below one": ([5e-324, np.nextafter(1, 0)], [0, 1]),
}
UNDEFINED = {
    ("brier_skill", "one row"), ("brier_skill", "always right"), ("brier_skill", "always wrong"),
    ("auroc", "one row"), ("auroc", "always right"), ("auroc", "always wrong"), ("auprc", "always wrong"),
}  # fmt: skip


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("name", METRICS)
def test_is_a_finite_float_or_none_at_every_edge(name, edge):
    value = METRICS[name].fn(*EDGES[edge])
    if (name, edge) in UNDEFINED:
        assert value is None
    else:
        assert type(value) is float
        assert np.isfinite(value)
        assert value <= (-np.log(1e-6) if name == "log_loss" else 1)


@pytest.mark.parametrize("name", METRICS)
def test_rows_have_no_order(name):
    p, y = np.round(RNG.random(300), 1), RNG.integers(0, 2, 300)
    order = RNG.permutation(300)
    assert METRICS[name].fn(p, y) == pytest.approx(METRICS[name].fn(p[order], y[order]), abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_the_direction_is_true(name):
    q = RNG.beta(3, 2, 4000)
    y = RNG.random(4000) < q
    worse = np.clip(1 - q, 0, 1)
    good, bad = METRICS[name].fn(q, y), METRICS[name].fn(worse, y)
    if name == "brier_resolution":  # bins tell the same apart, whatever they are called
        assert good == pytest.approx(bad, abs=0.002)
        good, bad = METRICS[name].fn(q, y), METRICS[name].fn(np.full(4000, 0.6), y)
    assert (good < bad) is METRICS[name].lower_is_better


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    ("p", "y", "error"),
    [
        ([0.5, np.nan], [0, 1], InvalidProbability),
        ([0.5, -1e-9], [0, 1], InvalidProbability),
        ([2.2, -0.7], [1, 0], InvalidProbability),  # logits
        ([0.5], [0.5], InvalidLabel),
        ([0.5], [np.nan], InvalidLabel),
        ([0.5], [0, 1], LengthMismatch),
        ([[0.5]], [[1]], LengthMismatch),
        (0.5, 1, LengthMismatch),
        ([], [], TooFewExamples),
    ],
)
def test_refuses_what_is_not_p_and_y(name, p, y, error):
    with pytest.raises(error):
        METRICS[name].fn(p, y)


def test_unknown_metric_lists_the_known():
    with pytest.raises(UnknownName, match="augrc, auprc, aurc, auroc, brier, brier_reliability"):
        get_metric("ecee")
