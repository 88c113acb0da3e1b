"""The outcome head finds what is there, and no more: by cross-validation, from the base rates or from the router."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from routecal.calib.outcome.cells import Cells
from routecal.calib.outcome.fit import PENALTIES, fit_outcome
from routecal.calib.outcome.multinomial import fit_multinomial, log_odds
from routecal.calib.outcome.start import OutcomeStart, log_q
from routecal.calib.policy import OracleMatrix

CELLS = Cells.of(OracleMatrix())
K = len(CELLS)


def drawn(p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.asarray((p.cumsum(axis=1) < rng.random((len(p), 1))).sum(axis=1))


def world(n: int, *, signal: float, router: float, seed: int = 0) -> tuple[np.ndarray, ...]:
    """(hidden, logits, cell, fold, true probabilities): cells follow the hidden state, the router, or neither."""
    rng = np.random.default_rng(seed)
    hidden, logits = rng.normal(size=(n, 12)), rng.normal(size=(n, 3)) * 2
    z = signal * hidden[:, :K] + router * log_q(logits)[:, list(CELLS.policy)]
    p = softmax(z, axis=1)
    return hidden.astype(np.float32), logits.astype(np.float32), drawn(p, rng), np.arange(n) % 5, p


def test_without_an_offset_it_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    x, cell = rng.normal(size=(200, 4)), rng.integers(0, 3, 200)
    w = fit_multinomial(x, cell, np.zeros((200, 3)), penalty=5.0)
    theirs = LogisticRegression(C=1 / 5.0, tol=1e-10, max_iter=10_000).fit(x, cell)
    ours = softmax(log_odds(x, w, np.zeros((200, 3))), axis=1)
    assert np.abs(ours - theirs.predict_proba(x)).max() < 1e-3


def test_an_offset_that_says_all_is_left_alone() -> None:
    rng = np.random.default_rng(1)
    offset = rng.normal(size=(4000, 3)) * 2
    cell = drawn(softmax(offset, axis=1), rng)
    w = fit_multinomial(rng.normal(size=(4000, 5)), cell, offset, penalty=1000.0)
    assert np.abs(w[:-1]).max() < 0.05


def test_the_start_finds_the_temperature_of_an_overconfident_router() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(5000, 3)) * 6
    cell = drawn(softmax(0.25 * log_q(logits)[:, list(CELLS.policy)], axis=1), rng)
    assert OutcomeStart.router(logits, cell, CELLS).temperature == pytest.approx(0.25, abs=0.03)


def test_a_hidden_state_that_knows_is_read() -> None:
    hidden, logits, cell, fold, p = world(1500, signal=1.5, router=0.0)
    found = fit_outcome(hidden, logits, cell, fold, CELLS)
    new_hidden, new_logits, _, _, truth = world(1500, signal=1.5, router=0.0, seed=9)
    gain = CELLS.gain(found.head.probabilities(new_hidden, new_logits))
    assert np.corrcoef(gain, CELLS.gain(truth))[0, 1] > 0.95


def test_a_router_that_knows_is_where_it_starts() -> None:
    hidden, logits, cell, fold, _ = world(600, signal=0.0, router=1.0)
    found = fit_outcome(hidden, logits, cell, fold, CELLS)
    assert found.chosen.start == "router"
    assert found.chosen.penalty == max(PENALTIES)


def test_noise_leaves_the_base_rates() -> None:
    hidden, logits, cell, fold, _ = world(600, signal=0.0, router=0.0)
    p = fit_outcome(hidden, logits, cell, fold, CELLS).head.probabilities(hidden, logits)
    assert p.mean(axis=0) == pytest.approx(np.bincount(cell, minlength=K) / 600, abs=0.02)
    assert p.std(axis=0).max() < 0.05


def test_a_labelled_row_is_judged_by_the_regression_that_left_it_out() -> None:
    hidden, logits, cell, fold, _ = world(300, signal=1.0, router=0.0)
    head = fit_outcome(hidden, logits, cell, fold, CELLS).head
    changed = np.where(fold == 2, (cell + 1) % K, cell)
    other = fit_outcome(hidden, logits, changed, fold, CELLS).head
    rows = fold == 2
    same = head.out_of_fold(hidden, logits, fold)[rows]
    if head.weights[2].shape == other.weights[2].shape:
        assert np.abs(other.starts[2].bias - head.starts[2].bias).max() == 0.0
    assert same.sum(axis=1) == pytest.approx(np.ones(rows.sum()))


def test_a_cell_that_no_row_has_keeps_a_small_probability() -> None:
    hidden, logits, cell, fold, _ = world(400, signal=1.0, router=0.0)
    p = fit_outcome(hidden, logits, np.where(cell == 4, 3, cell), fold, CELLS).head.probabilities(hidden, logits)
    assert 0 < p[:, 4].max() < 0.02
