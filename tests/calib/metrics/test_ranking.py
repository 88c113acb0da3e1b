import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from routecal.calib.metrics.ranking import auprc, auroc
from routecal.calib.metrics.ties import packed_keys, ties


def test_agrees_with_scikit_learn_ties_included():
    rng = np.random.default_rng(0)
    p, y = rng.integers(0, 6, 300) / 5, rng.integers(0, 2, 300)
    assert auroc(p, y) == pytest.approx(roc_auc_score(y, p), abs=1e-12)


@pytest.mark.parametrize("n_values", [1, 2, 6, 1000, None])
def test_agree_with_scikit_learn_however_many_ties(n_values):
    rng = np.random.default_rng(1)
    p = rng.random(5000) if n_values is None else rng.integers(0, n_values, 5000) / max(n_values - 1, 1)
    y = rng.random(5000) < p
    y[:2] = [False, True]
    assert auroc(p, y) == pytest.approx(roc_auc_score(y, p), abs=1e-12)
    assert auprc(p, y) == pytest.approx(average_precision_score(y, p), abs=1e-12)


def test_neighbours_in_the_last_bit_are_no_tie():
    # one bit apart, so that taking that bit for y would confuse them
    for low in (0.3, 0.5, np.nextafter(1, 0), 0.0):
        assert auroc([low, np.nextafter(low, 1)], [0, 1]) == 1
        assert auroc([low, np.nextafter(low, 1)], [1, 0]) == 0


def test_minus_zero_is_zero():
    assert auroc([-0.0, 0.0], [0, 1]) == 0.5


def test_keys_hold_all_of_p_and_y():
    rng = np.random.default_rng(2)
    p, y = rng.random(100), rng.integers(0, 2, 100).astype(float)
    keys = packed_keys(p, y)
    assert ((keys >> np.uint64(1)).view(np.float64) == np.sort(p)).all()
    assert ((keys & np.uint64(1)) == y[np.argsort(p)]).all()


def test_ties_group_equal_p():
    groups = ties(np.array([1.0, 0.0, 0.5, 0.5, 1.0]), np.array([1.0, 0, 1, 0, 1]))
    assert (groups.p.tolist(), groups.n0.tolist(), groups.n1.tolist()) == ([0, 0.5, 1], [1, 1, 0], [0, 1, 2])


def test_auprc_by_hand():
    # recall rises by a half at precision 1, then with a tie of three, one right, to 1 at precision 2/4
    assert auprc([0.9, 0.5, 0.5, 0.5], [1, 0, 1, 0]) == pytest.approx(0.5 * 1 + 0.5 * 0.5)
    assert auprc([0.5, 0.9], [0, 0]) is None


def test_a_constant_ranks_nothing():
    assert auroc([0.7] * 4, [0, 1, 1, 0]) == 0.5


@pytest.mark.parametrize("y", [[0, 0], [1, 1]])
def test_one_class_has_no_number(y):
    assert auroc([0.2, 0.9], y) is None


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 1)), min_size=2, max_size=40))
def test_flipping_labels_mirrors_and_increasing_maps_keep(rows):
    p, y = (np.array(column, float) for column in zip(*rows, strict=True))
    value = auroc(p / 20, y)
    if value is not None:
        assert auroc(p / 20, 1 - y) == pytest.approx(1 - value)
        assert auroc((p / 20) ** 2, y) == pytest.approx(value)
