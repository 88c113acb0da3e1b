import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from calib.metrics.ranking import auroc


def test_agrees_with_scikit_learn_ties_included():
    rng = np.random.default_rng(0)
    p, y = rng.integers(0, 6, 300) / 5, rng.integers(0, 2, 300)
    assert auroc(p, y) == pytest.approx(roc_auc_score(y, p), abs=1e-12)


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
