import numpy as np
import pytest

from routecal.calib.errors import InvalidLabel, InvalidProbability, LengthMismatch, OutOfRange, TooFewExamples
from routecal.calib.metrics.bin_counts import CHUNK, SHARED, bin_index, bin_sums
from routecal.calib.metrics.binned import ece


@pytest.mark.parametrize(
    ("p", "b"), [(0.0, 0), (0.1, 1), (0.3, 3), (0.5, 5), (0.6, 6), (0.7, 7), (np.nextafter(0.5, 0), 4), (1.0, 9)]
)
def test_bins_are_closed_on_the_left_and_the_last_holds_one(p, b):
    assert bin_index(np.array([p]), n_bins=10)[0] == b


def test_bin_edges_are_compared_not_multiplied():
    assert 0.29 * 100 < 29  # flooring would put .29 into bin 28 of 100
    assert bin_index(np.array([0.29]), n_bins=100)[0] == 29


@pytest.mark.parametrize("n_bins", [1, 2, 3, 7, 10, 15, 49, 100, 1000])
def test_every_edge_opens_its_bin_and_the_number_before_it_closes_the_last(n_bins):
    edges = np.arange(1, n_bins) / n_bins
    assert (bin_index(edges, n_bins=n_bins) == np.arange(1, n_bins)).all()
    assert (bin_index(np.nextafter(edges, 0), n_bins=n_bins) == np.arange(n_bins - 1)).all()
    assert bin_index(np.array([0.0, np.nextafter(1, 0), 1.0]), n_bins=n_bins).tolist() == [0, n_bins - 1, n_bins - 1]


@pytest.mark.parametrize("p_type", [np.float64, np.float32])
@pytest.mark.parametrize("y_type", [bool, np.int8, np.int64, np.float32, np.float64])
def test_sums_are_the_same_for_every_type_and_across_chunks(p_type, y_type):
    rng = np.random.default_rng(0)
    n = 2 * CHUNK + 7
    p = rng.random(n).astype(p_type)
    y = (rng.random(n) < 0.5).astype(y_type)
    sums = bin_sums(p, y, n_bins=10)
    b = bin_index(p.astype(np.float64), n_bins=10)
    for found, expected in zip(sums, (np.ones(n), y, p), strict=True):
        assert found == pytest.approx([expected[b == i].sum(dtype=np.float64) for i in range(10)], rel=1e-12)


def test_two_threads_find_what_one_does():
    rng = np.random.default_rng(1)
    p, y = rng.random(SHARED + 5), rng.integers(0, 2, SHARED + 5)
    shared = bin_sums(p, y, n_bins=15)
    halves = [bin_sums(p[rows], y[rows], n_bins=15) for rows in (slice(SHARED - 1), slice(SHARED - 1, None))]
    for found, parts in zip(shared, zip(*halves, strict=True), strict=True):
        assert found == pytest.approx(sum(parts), rel=1e-12)
    p[-1] = np.nan
    with pytest.raises(InvalidProbability, match=rf"p\[{SHARED + 4}\] = nan"):
        bin_sums(p, y, n_bins=15)


def test_a_float32_is_what_it_is_not_what_it_was_rounded_from():
    p = np.array([0.7], np.float32)
    assert float(p[0]) < 0.7
    assert bin_sums(p, np.array([1]), n_bins=10).n.tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("p", "y", "error"),
    [
        ([0.5, np.nan], [0, 1], InvalidProbability),
        ([0.5, 1.1], [0, 1], InvalidProbability),
        ([-1e-9], [0], InvalidProbability),
        ([0.5], [2], InvalidLabel),
        ([0.5], [np.nan], InvalidLabel),
        ([0.5], [0, 1], LengthMismatch),
        ([[0.5]], [[1]], LengthMismatch),
        ([], [], TooFewExamples),
    ],
)
def test_what_is_not_p_and_y_is_refused(p, y, error):
    with pytest.raises(error):
        ece(p, y)


def test_the_refusal_names_the_row():
    with pytest.raises(InvalidProbability, match=r"p\[1\] = nan"):
        ece([0.5, np.nan], [0, 1])


@pytest.mark.parametrize("where", [0, CHUNK + 3])
def test_a_bad_row_is_found_in_any_chunk_and_type(where):
    p, y = np.full(CHUNK + 10, 0.5, np.float32), np.ones(CHUNK + 10, np.int8)
    p[where] = 3.2
    with pytest.raises(InvalidProbability, match=rf"p\[{where}\] = 3.2.*apply a sigmoid first"):
        ece(p, y)
    p[where], y[where] = 0.5, -1
    with pytest.raises(InvalidLabel, match=rf"y\[{where}\]"):
        ece(p, y)


def test_no_bins_are_refused():
    with pytest.raises(OutOfRange, match="n_bins = 0 is not allowed; give at least 1"):
        bin_sums([0.5], [1], n_bins=0)
