import numpy as np
import pytest
import torch

from routecal.calib.head import head_inputs
from routecal.calib.head.head_inputs import moments, router_features, whitened_components


def test_moments_are_those_of_numpy_whatever_the_block_and_dtype(monkeypatch):
    rows = np.random.default_rng(0).normal(50, 3, (1000, 4)).astype(np.float16)
    monkeypatch.setattr(head_inputs, "BLOCK_ROWS", 300)
    mean, std = moments(rows)
    assert mean.dtype == std.dtype == np.float64
    np.testing.assert_allclose(mean, rows.astype(float).mean(0), rtol=1e-12)
    np.testing.assert_allclose(std, rows.astype(float).std(0), rtol=1e-12)


def test_a_column_of_rounding_errors_counts_as_constant():
    rows = np.full((100, 2), 0.1, np.float32)
    rows[:, 1] = 1e6 + np.arange(100) % 2 * 0.0625  # one float32 step at a million
    assert moments(rows)[1].tolist() == [1.0, 1.0]


def test_whitened_components_are_uncorrelated_with_variance_one_and_ordered():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(4000, 5)) * [5, 3, 1, 0.5, 0.1] @ np.linalg.qr(rng.normal(size=(5, 5)))[0]
    w = whitened_components(rows, 3)
    np.testing.assert_allclose(np.cov(rows @ w.T, rowvar=False), np.eye(3), atol=1e-10)
    lengths = 1 / np.linalg.norm(w, axis=1)  # an axis has length 1, so this is the deviation along it
    np.testing.assert_allclose(lengths, [5, 3, 1], rtol=0.05)


def test_directions_that_rows_do_not_span_are_zero_not_noise():
    rows = np.random.default_rng(2).normal(size=(4, 6))
    w = whitened_components(rows, 6)
    assert (np.linalg.norm(w, axis=1) > 0).tolist() == [True, True, True, False, False, False]
    doubled = np.column_stack([rows[:, :2], rows[:, :2]])  # rank 2
    assert (np.linalg.norm(whitened_components(doubled, 3), axis=1) > 0).tolist() == [True, True, False]
    assert not whitened_components(np.zeros((5, 2)), 2).any()
    assert not whitened_components(np.ones((1, 2)), 2).any()


def test_many_rows_are_thinned_evenly(monkeypatch):
    rows = np.random.default_rng(3).normal(size=(100, 3))
    monkeypatch.setattr(head_inputs, "PCA_CELLS", 100)  # every third row
    thinned = whitened_components(rows, 2)
    monkeypatch.undo()
    np.testing.assert_array_equal(thinned, whitened_components(rows[::3], 2))


@pytest.mark.parametrize("logits", [[3.0, 1.0, 0.0], [0.0, 3.0, 1.0], [103.0, 101.0, 100.0]])
def test_router_features_forget_which_policy_leads(logits):
    log_q = np.array([3.0, 1.0, 0.0]) - np.log(np.exp([3.0, 1.0, 0.0]).sum())
    entropy = -(np.exp(log_q) * log_q).sum()
    found = router_features(torch.tensor([logits], dtype=torch.float64))[0]
    np.testing.assert_allclose(found.numpy(), [*log_q, entropy], rtol=1e-12)


def test_router_features_stay_finite_where_a_probability_rounds_to_zero():
    assert torch.isfinite(router_features(torch.tensor([[0.0, -1e4, -1e4]]))).all()
