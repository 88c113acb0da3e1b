"""The choice of a block: it finds the signal, prefers the narrow, and never looks at test rows."""

import pickle

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from routecal.calib.errors import ChosenOnTest, LengthMismatch, UnknownName
from routecal.calib.examples import Examples
from routecal.calib.learn.block_choice import STRENGTHS, _rotated, candidates_of, choose_blocks, concatenated
from tests.calib.made import examples


def labelled(n: int, *, seed: int = 0) -> tuple[Examples, NDArray[np.float32]]:
    """Examples whose own logits say nothing, and a vector that y depends on."""
    rng = np.random.default_rng(seed)
    made = examples(n, seed=seed)
    signal = rng.normal(0, 1, (n, 8)).astype(np.float32)
    right = rng.random(n) < 1 / (1 + np.exp(-2 * signal[:, 0]))
    true_policy = np.where(right, made.policy, (made.policy + 1) % 3)
    return Examples(made.hidden, made.logits, made.policy, true_policy, made.split), signal


def noise(n: int, width: int, seed: int = 9) -> NDArray[np.float32]:
    """Vectors that have nothing to do with anything."""
    return np.random.default_rng(seed).normal(3, 5, (n, width)).astype(np.float32)


def test_the_block_with_the_signal_is_found() -> None:
    rows, signal = labelled(400)
    blocks = {"hidden": noise(400, 8), "hidden_L6_mean": signal, "hidden_L6_last": noise(400, 8, seed=10)}
    choice = choose_blocks(blocks, rows)
    assert choice.names == ("hidden_L6_mean",)
    assert [c.names for c in choice.table] == list(candidates_of(list(blocks)))
    losses = {c.names: c.log_loss for c in choice.table}
    # in nats: guessing costs log 2, the truth itself about .5
    assert losses["hidden_L6_mean",] < 0.6 < 0.68 < losses["hidden",]
    assert min(c.excess for c in choice.table) == 0


def test_a_wider_block_must_be_better_than_chance_makes_it() -> None:
    rows, signal = labelled(400)
    blocks = {"wide": np.hstack([signal, noise(400, 2)]), "narrow": signal}
    assert choose_blocks(blocks, rows).names == ("narrow",)


def test_of_equally_narrow_blocks_the_default_wins_a_tie_and_the_best_wins_without_it() -> None:
    rows, signal = labelled(400)
    weaker, same = signal + noise(400, 8) / 50, signal[:, ::-1]
    alone = [["a"], ["b"], ["c"]]
    tied = choose_blocks({"a": same, "b": weaker, "c": signal}, rows, candidates=alone)
    assert tied.names == ("a",)
    left = choose_blocks({"a": noise(400, 8), "b": weaker, "c": signal}, rows, candidates=alone)
    least = min(left.table, key=lambda c: c.log_loss)
    assert all(c.excess <= c.excess_error for c in left.table[1:])
    assert left.names == least.names == ("c",)


def test_two_blocks_that_each_know_half_are_taken_together() -> None:
    made, first = labelled(600)
    second = noise(600, 8) / 5
    rng = np.random.default_rng(3)
    right = rng.random(600) < 1 / (1 + np.exp(-2 * first[:, 0] - 2 * (second[:, 0] - second[:, 0].mean())))
    rows = Examples(
        made.hidden, made.logits, made.policy, np.where(right, made.policy, (made.policy + 1) % 3), made.split
    )
    assert choose_blocks({"a": first, "b": second, "c": noise(600, 8, seed=11)}, rows).names == ("a", "b")


def test_same_seed_same_table() -> None:
    rows, signal = labelled(100)
    blocks = {"a": signal}
    assert choose_blocks(blocks, rows, seed=3) == choose_blocks(blocks, rows, seed=3)
    assert choose_blocks(blocks, rows, seed=3).table != choose_blocks(blocks, rows, seed=4).table


def test_a_long_table_is_drawn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, signal = labelled(400)
    blocks, alone = {"a": noise(400, 8), "b": signal}, [["a"], ["b"]]
    whole = choose_blocks(blocks, rows, candidates=alone)
    monkeypatch.setattr("routecal.calib.learn.block_choice.MOST_ROWS", 200)
    drawn = choose_blocks(blocks, rows, candidates=alone)
    assert drawn.names == whole.names == ("b",)
    # fewer rows, wider errors
    assert all(d.standard_error > 1.2 * w.standard_error for d, w in zip(drawn.table, whole.table, strict=True))


def test_rotated_rows_give_the_same_probe() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 1, (40, 90)), rng.integers(0, 2, 40)
    turned = _rotated(x)
    assert turned.shape == (40, 40)
    for strength in STRENGTHS:
        one, other = (
            LogisticRegression(C=strength, tol=1e-10, max_iter=5000).fit(v[:30], y[:30]).predict_proba(v[30:])
            for v in (x, turned)
        )
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("n_right", [0, 4, 60])
def test_nothing_to_choose_by(n_right: int) -> None:
    made = examples(60)
    right = np.arange(60) < n_right
    rows = Examples(
        made.hidden, made.logits, made.policy, np.where(right, made.policy, (made.policy + 1) % 3), made.split
    )
    choice = choose_blocks({"a": noise(60, 4), "b": noise(60, 4, seed=1)}, rows)
    assert choice.names == ("a",)
    assert choice.table == ()


def test_test_rows_are_refused() -> None:
    made, signal = labelled(60)
    rows = Examples(made.hidden, made.logits, made.policy, made.true_policy, np.array(["train"] * 57 + ["test"] * 3))
    with pytest.raises(ChosenOnTest, match="3 of these rows are of the test split") as caught:
        choose_blocks({"a": signal}, rows)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_blocks_that_do_not_fit() -> None:
    rows, signal = labelled(60)
    with pytest.raises(LengthMismatch, match="labelled has 60 rows and block a has 59"):
        choose_blocks({"a": signal[1:]}, rows)
    with pytest.raises(UnknownName, match="'c' is not a known block; choose one of a, b"):
        choose_blocks({"a": signal, "b": signal}, rows, candidates=[("a", "c")])
    with pytest.raises(UnknownName, match="'c' is not a known block"):
        concatenated({"a": signal}, ["c"])
