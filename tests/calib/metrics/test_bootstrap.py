import numpy as np
import pytest

from calib.errors import LengthMismatch, UnknownName
from calib.metrics import METRICS, intervals, paired_difference
from calib.metrics.cell_bootstrap import MIN_ROWS

RNG = np.random.default_rng(1)
P = np.round(RNG.beta(6, 2, 300), 2)  # rounded, so that there are ties
Y = (RNG.random(300) < P).astype(float)


def test_brier_interval_is_that_of_a_mean():
    estimate = intervals(P, Y, metrics=("brier",), n_replicates=4000)["brier"]
    half = 1.96 * ((P - Y) ** 2).std() / len(P) ** 0.5
    assert estimate.low == pytest.approx(estimate.value - half, abs=0.1 * half)
    assert estimate.high == pytest.approx(estimate.value + half, abs=0.1 * half)


def test_is_repeatable_and_leaves_the_global_generator_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (intervals(P, Y, metrics=("auroc",), n_replicates=50, seed=s)["auroc"] for s in (3, 3, 4))
    assert first == again != other
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_one_class_has_no_auroc_and_no_skill():
    found = intervals([0.2, 0.9], [1, 1], metrics=("auroc", "brier_skill", "brier"), n_replicates=20)
    assert found["auroc"] is None
    assert found["brier_skill"] is None
    assert found["brier"] is not None


def test_paired_difference_of_a_method_with_itself_is_nothing():
    same = paired_difference("ece", P, P, Y, n_replicates=50)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_pairing_narrows_the_interval():
    noisy = np.clip(P + 0.02, 0, 1)
    pair = paired_difference("brier", P, noisy, Y)
    alone = intervals(P, Y, metrics=("brier",))["brier"]
    assert pair.high - pair.low < (alone.high - alone.low) / 3
    assert pair.low <= pair.value <= pair.high


@pytest.mark.parametrize("n", [300, MIN_ROWS])
def test_an_interval_does_not_depend_on_what_else_is_asked_for(n):
    p = RNG.beta(6, 2, n)
    y = RNG.random(n) < p
    together = intervals(p, y, metrics=("ece", "auroc", "log_loss", "brier"), n_replicates=20)
    for name in ("brier", "auroc"):
        assert intervals(p, y, metrics=(name,), n_replicates=20)[name] == together[name]


def test_every_metric_has_an_interval_around_what_its_replicates_say():
    found = intervals(P, Y, metrics=tuple(METRICS), n_replicates=100)
    for name, estimate in found.items():
        assert estimate.value == METRICS[name].fn(P, Y)
        assert estimate.low < estimate.high, name


def test_refusals():
    with pytest.raises(UnknownName, match="brier"):
        paired_difference("accuracy", P, P, Y)
    with pytest.raises(LengthMismatch):
        paired_difference("brier", P, P[:-1], Y)
