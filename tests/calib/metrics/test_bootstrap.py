import numpy as np
import pytest

from calib.errors import LengthMismatch, UnknownName
from calib.metrics import METRICS
from calib.metrics.bootstrap import _ON_COUNTS, _counts, intervals, noise_floor, paired_difference

RNG = np.random.default_rng(1)
P = np.round(RNG.beta(6, 2, 300), 2)  # rounded, so that there are ties
Y = (RNG.random(300) < P).astype(float)


def test_every_metric_has_a_bootstrap():
    assert _ON_COUNTS.keys() == METRICS.keys()


@pytest.mark.parametrize("name", METRICS)
def test_counting_rows_equals_repeating_them(name):
    counts = next(_counts(len(P), n_replicates=5, seed=0))
    direct = [METRICS[name].fn(np.repeat(P, c.astype(int)), np.repeat(Y, c.astype(int))) for c in counts]
    assert _ON_COUNTS[name][1](P, Y)(counts) == pytest.approx(direct, abs=1e-12)


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


def test_chunks_cover_all_replicates(monkeypatch):
    monkeypatch.setattr("calib.metrics.bootstrap.COUNTS_PER_CHUNK", 700)
    chunks = list(_counts(300, n_replicates=5, seed=0))
    assert [len(c) for c in chunks] == [2, 2, 1]
    assert (np.concatenate(chunks).sum(axis=1) == 300).all()


def test_one_class_has_no_auroc_and_no_skill():
    found = intervals([0.2, 0.9], [1, 1], metrics=("auroc", "brier_skill", "brier"), n_replicates=20)
    assert found["auroc"] is None
    assert found["brier_skill"] is None
    assert found["brier"] is not None


def test_noise_floor_matches_the_known_table():
    # DESIGN 5.5: a calibrated Beta(6, 2) measures ECE-10 of about .026 at n = 1,000, 95th percentile .039
    p = np.random.default_rng(0).beta(6, 2, 1000)
    floor = noise_floor(p)
    assert floor.mean == pytest.approx(0.026, abs=0.003)
    assert floor.low < floor.mean < floor.high < 0.05


def test_paired_difference_of_a_method_with_itself_is_nothing():
    same = paired_difference("ece", P, P, Y, n_replicates=50)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_pairing_narrows_the_interval():
    noisy = np.clip(P + 0.02, 0, 1)
    pair = paired_difference("brier", P, noisy, Y)
    alone = intervals(P, Y, metrics=("brier",))["brier"]
    assert pair.high - pair.low < (alone.high - alone.low) / 3
    assert pair.low <= pair.value <= pair.high


def test_refusals():
    with pytest.raises(UnknownName, match="brier"):
        paired_difference("accuracy", P, P, Y)
    with pytest.raises(LengthMismatch):
        paired_difference("brier", P, P[:-1], Y)
