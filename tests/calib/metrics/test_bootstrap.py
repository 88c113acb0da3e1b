import numpy as np
import pytest

from routecal.calib.errors import LengthMismatch, NoInterval, UnknownName
from routecal.calib.metrics import METRICS, intervals, paired_difference
from routecal.calib.metrics.registry import WITH_INTERVAL

RNG = np.random.default_rng(1)
P = np.round(RNG.beta(6, 2, 300), 2)  # rounded, so that there are ties
Y = (RNG.random(300) < P).astype(float)


def test_brier_interval_is_that_of_a_mean():
    estimate = intervals(P, Y, metrics=("brier",))["brier"]
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


@pytest.mark.parametrize("name", ["brier", "auroc"])
def test_paired_difference_of_a_method_with_itself_is_nothing(name):
    same = paired_difference(name, P, P, Y, n_replicates=50)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_perfect_ranking_and_a_constant_say_how_sure_they_are():
    found = intervals([0.1] * 20 + [0.9] * 30, [0] * 20 + [1] * 30, metrics=("auroc",), n_replicates=50)["auroc"]
    # Wilson's lower end of 20 right in 20 trials, of as many as there are wrong rows: 20 / (20 + z²)
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(20 / (20 + 3.8415), abs=1e-4)
    constant = intervals([0.5] * 50, [0] * 20 + [1] * 30, metrics=("auroc",), n_replicates=50)["auroc"]
    assert (constant.low, constant.value, constant.high) == (0.5, 0.5, 0.5)  # whatever the rows


def test_auroc_covers_at_a_hundred_rows_of_high_confidence():
    rng, hits = np.random.default_rng(0), 0
    truth = rng.beta(12, 1.5, 400_000)
    want = METRICS["auroc"].fn(truth, rng.random(400_000) < truth)
    for seed in range(150):
        p = rng.beta(12, 1.5, 100)
        found = intervals(p, rng.random(100) < p, metrics=("auroc",), n_replicates=200, seed=seed)["auroc"]
        hits += found.low <= want <= found.high
    assert hits >= 135  # .95 of 150 is 142.5, less three standard deviations of 2.7


def test_pairing_narrows_the_interval():
    noisy = np.clip(P + 0.02, 0, 1)
    pair = paired_difference("brier", P, noisy, Y)
    alone = intervals(P, Y, metrics=("brier",))["brier"]
    assert pair.high - pair.low < (alone.high - alone.low) / 3
    assert pair.low <= pair.value <= pair.high


@pytest.mark.parametrize("n", [100, 300])
def test_an_interval_does_not_depend_on_what_else_is_asked_for(n):
    p = RNG.beta(6, 2, n)
    y = RNG.random(n) < p
    together = intervals(p, y, metrics=("ece", "auroc", "aurc", "brier"), n_replicates=20)
    for name in ("brier", "auroc"):
        assert intervals(p, y, metrics=(name,), n_replicates=20)[name] == together[name]


def test_metrics_with_an_interval_have_it_around_their_value():
    found = intervals(P, Y, metrics=WITH_INTERVAL, n_replicates=100)
    assert set(WITH_INTERVAL) == {"ece", "brier", "brier_skill", "auroc", "aurc", "augrc"}
    for name, estimate in found.items():
        assert estimate.value == METRICS[name].fn(P, Y)
        assert estimate.low < estimate.value < estimate.high, name


@pytest.mark.parametrize("name", [name for name in METRICS if name not in WITH_INTERVAL])
def test_other_metrics_are_refused_an_interval(name):
    with pytest.raises(NoInterval, match=f"no interval of {name} is known to cover; ask for one of ece, brier"):
        intervals(P, Y, metrics=("brier", name))
    with pytest.raises(NoInterval):
        paired_difference(name, P, P, Y)


def test_a_difference_of_calibration_errors_has_no_interval():
    with pytest.raises(NoInterval, match="of a difference in ece is known to cover; ask for one of brier"):
        paired_difference("ece", P, P, Y)


def test_refusals():
    with pytest.raises(UnknownName, match="brier"):
        paired_difference("accuracy", P, P, Y)
    with pytest.raises(LengthMismatch):
        paired_difference("brier", P, P[:-1], Y)
