"""The outcome head finds what is there, and no more: by cross-validation, from the base rates or from the router."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from routecal.calib.checkpoint_errors import CheckpointMissing, FeatureMismatch, HeadUnusable
from routecal.calib.outcome.cells import Cells
from routecal.calib.outcome.fit import PENALTIES, fit_outcome
from routecal.calib.outcome.head import OutcomeHead, Reader
from routecal.calib.outcome.inputs import OutcomeInputs
from routecal.calib.outcome.multinomial import fit_multinomial, log_odds
from routecal.calib.outcome.outcome_folder import (
    CONFIG,
    WEIGHTS,
    holds_outcome_head,
    load_outcome_head,
    save_outcome_head,
)
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
    hidden, logits, cell, fold, _ = world(1500, signal=1.5, router=0.0)
    found = fit_outcome({"a": hidden}, logits, cell, fold, CELLS)
    new_hidden, new_logits, _, _, truth = world(1500, signal=1.5, router=0.0, seed=9)
    gain = CELLS.gain(found.head.probabilities({"a": new_hidden}, new_logits))
    assert np.corrcoef(gain, CELLS.gain(truth))[0, 1] > 0.95


def test_a_router_that_knows_is_where_it_starts() -> None:
    hidden, logits, cell, fold, _ = world(600, signal=0.0, router=1.0)
    found = fit_outcome({"a": hidden}, logits, cell, fold, CELLS)
    best = min(found.table, key=lambda tried: tried.log_loss)
    assert (best.start, best.penalty) == ("router", max(PENALTIES))
    base, router = found.head.readers[0].starts
    assert all(start.temperature == 0 for start in base)
    assert all(start.temperature > 0.5 for start in router)


def test_noise_leaves_the_base_rates() -> None:
    hidden, logits, cell, fold, _ = world(600, signal=0.0, router=0.0)
    p = fit_outcome({"a": hidden}, logits, cell, fold, CELLS).head.probabilities({"a": hidden}, logits)
    assert p.mean(axis=0) == pytest.approx(np.bincount(cell, minlength=K) / 600, abs=0.02)
    assert p.std(axis=0).max() < 0.05


def test_a_labelled_row_is_judged_by_the_regressions_that_left_it_out() -> None:
    """Outcomes of one fold, changed at random, change what every row is told, but those of that fold: their regression
    never saw them (start and penalty are held fixed, as they may be chosen otherwise)."""
    hidden, logits, cell, fold, _ = world(300, signal=1.0, router=0.0)
    rows = fold == 2
    heads = [_fitted_once(hidden, logits, np.where(rows, c, cell), fold) for c in (cell, (cell + 1) % K)]
    before, after = (head.out_of_fold({"a": hidden}, logits, fold) for head in heads)
    assert np.array_equal(before[rows], after[rows])
    assert (np.abs(before - after)[~rows].max(axis=1) > 1e-4).all()


def test_a_row_of_no_fold_is_told_by_all() -> None:
    hidden, logits, cell, fold, _ = world(300, signal=1.0, router=0.0)
    head = fit_outcome({"a": hidden, "b": hidden[:, ::2]}, logits, cell, fold, CELLS).head
    blocks = {"a": hidden, "b": hidden[:, ::2]}
    assert np.array_equal(head.out_of_fold(blocks, logits, np.full(300, -1)), head.probabilities(blocks, logits))


@pytest.mark.parametrize(
    ("blocks", "said"), [({"b": np.zeros((2, 12))}, "no a"), ({"a": np.zeros((2, 3))}, "12")], ids=["missing", "width"]
)
def test_other_blocks_are_refused(blocks: dict[str, np.ndarray], said: str) -> None:
    hidden, logits, cell, fold, _ = world(100, signal=1.0, router=0.0)
    head = fit_outcome({"a": hidden}, logits, cell, fold, CELLS).head
    with pytest.raises(FeatureMismatch, match=said):
        head.probabilities(blocks, logits[:2])


def test_a_head_is_read_back_to_the_last_bit(tmp_path: Path) -> None:
    hidden, logits, cell, fold, _ = world(200, signal=1.0, router=0.5)
    blocks = {"a": hidden, "b": hidden[:, :6]}
    head = fit_outcome(blocks, logits, cell, fold, CELLS).head
    assert not holds_outcome_head(tmp_path)
    save_outcome_head(replace(head, lineage={"seed": 3}), tmp_path)
    again = load_outcome_head(tmp_path)
    assert again.lineage == {"seed": 3}
    assert again.cells == CELLS
    for other in (head, again):
        assert np.array_equal(other.out_of_fold(blocks, logits, fold), head.out_of_fold(blocks, logits, fold))


@pytest.mark.parametrize("file", [WEIGHTS, CONFIG])
def test_a_damaged_head_is_refused(tmp_path: Path, file: str) -> None:
    hidden, logits, cell, fold, _ = world(100, signal=1.0, router=0.0)
    save_outcome_head(fit_outcome({"a": hidden}, logits, cell, fold, CELLS).head, tmp_path)
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:40])
    with pytest.raises(HeadUnusable):
        load_outcome_head(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(CheckpointMissing, match=file):
        load_outcome_head(tmp_path)


def _fitted_once(hidden: np.ndarray, logits: np.ndarray, cell: np.ndarray, fold: np.ndarray) -> OutcomeHead:
    inputs = OutcomeInputs.of(hidden, logits)
    x, starts, weights = inputs(hidden, logits), [], []
    for k in range(5):
        taught = fold != k
        starts.append(OutcomeStart.base_rates(cell[taught], CELLS))
        offset = starts[-1](logits, CELLS)
        weights.append(fit_multinomial(x[taught], cell[taught], offset[taught], penalty=30.0))
    return OutcomeHead(CELLS, (Reader("a", inputs, (tuple(starts),), (tuple(weights),)),))


def test_a_cell_that_no_row_has_keeps_a_small_probability() -> None:
    hidden, logits, cell, fold, _ = world(400, signal=1.0, router=0.0)
    p = fit_outcome({"a": hidden}, logits, np.where(cell == 4, 3, cell), fold, CELLS).head.probabilities(
        {"a": hidden}, logits
    )
    assert 0 < p[:, 4].max() < 0.02
