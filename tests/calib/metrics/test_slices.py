import numpy as np
import pytest

from routecal.calib.errors import LengthMismatch, OutOfRange
from routecal.calib.metrics import by_slice, deciles, summarise

RNG = np.random.default_rng(7)
P = RNG.beta(6, 2, 600)
TOPIC = RNG.choice(["law", "art", "sums"], 600)
Y = RNG.random(600) < np.where(TOPIC == "law", 0.5 * P, P)


def test_each_slice_is_summarised_by_itself():
    table = by_slice(P, Y, TOPIC, n_replicates=50)
    assert list(table) == ["art", "law", "sums"]
    for topic, summary in table.items():
        rows = np.flatnonzero(topic == TOPIC)
        assert summary == summarise(P[rows], Y[rows], n_replicates=50)
    assert sum(s.n for s in table.values()) == 600


def test_the_slice_that_is_off_stands_out():
    table = by_slice(P, Y, TOPIC, n_replicates=100)
    assert [topic for topic, s in table.items() if not s.ece_in_noise_band] == ["law"]
    assert table["law"].kuiper_p < 1e-6


def test_simultaneous_intervals_are_wider():
    one, all_three = (by_slice(P, Y, TOPIC, is_simultaneous=flag, n_replicates=500)["art"] for flag in (False, True))
    assert all_three.level == pytest.approx(1 - 0.05 / 3)
    assert all_three.brier.low < one.brier.low < one.brier.high < all_three.brier.high


def test_labels_of_other_kinds_and_slices_of_one_row():
    table = by_slice([0.5, 0.6, 0.7], [1, 0, 1], [True, False, False], n_replicates=20)
    assert {label: s.n for label, s in table.items()} == {"False": 2, "True": 1}
    assert table["True"].auroc is None


def test_deciles_are_equal_in_number_and_in_order():
    length = RNG.permutation(1000)
    labels = deciles(length)
    names, counts = np.unique(labels, return_counts=True)
    assert counts.tolist() == [100] * 10
    assert names[0] == "01 0-99"
    assert names[9] == "10 900-999"


def test_equal_lengths_share_a_decile():
    assert set(deciles([3] * 7)) == {"01 3-3"}


def test_refusals():
    with pytest.raises(LengthMismatch, match="labels has 2 rows"):
        by_slice([0.5], [1], ["a", "b"])
    with pytest.raises(OutOfRange, match=r"values\[1\] = nan"):
        deciles([1.0, np.nan])
