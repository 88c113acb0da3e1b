"""Recipes: what is shared is trained once and comes out the same, and every switch does something."""

import numpy as np
import pytest

from calib import recipe as module
from calib.recipe import Recipe, train
from calib.rl_config import RLConfig
from calib.sft import SFTConfig
from tests.calib.made import examples

QUICK = Recipe(first=SFTConfig(epochs=2, lr=1e-2), second=RLConfig(epochs=1, lr=1e-2, early_stopping=False))
SPLITS = ("train", "calibration", "validation")


@pytest.fixture(scope="module")
def labelled():
    made = examples(240, seed=3)
    return type(made)(**{**vars(made), "split": np.array(SPLITS)[np.arange(240) % 3]})


@pytest.fixture(scope="module")
def unseen():
    return examples(80, seed=4)


def test_trained_together_or_alone_is_the_same_to_the_bit(labelled, unseen):
    recipes = {
        "plain": QUICK.with_changes(recalibrated=False),
        "none": QUICK.with_changes(second=None),
        "whole": QUICK,
        "three": QUICK.with_changes(members=3),
    }
    together = train(recipes, labelled, seed=5)
    for name, recipe in recipes.items():
        alone = train({name: recipe}, labelled, seed=5)[name]
        assert np.array_equal(together[name](unseen), alone(unseen)), name


def test_stages_in_common_are_trained_once(labelled, monkeypatch):
    calls = []
    fit = module.sft.fit
    monkeypatch.setattr(module.sft, "fit", lambda *args: calls.append(args) or fit(*args))
    train({"a": QUICK, "b": QUICK.with_changes(second=None), "c": QUICK.with_changes(recalibrated=False)}, labelled)
    assert len(calls) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"residual": False},
        {"hidden_units": 7},
        {"dropout": 0.5},
        {"pca": 2},
        {"router_outputs": True},
        {"members": 2},
        {"start": "logit"},
        {"folds": 3},
        {"first_rows": ("train", "calibration")},
        {"second": None},
        {"second": SFTConfig(epochs=1, lr=1e-2, early_stopping=False)},
        {"second_rows": ("train",)},
    ],
)
def test_every_switch_changes_the_predictions(labelled, unseen, changes):
    plain = QUICK.with_changes(recalibrated=False)
    found = train({"plain": plain, "changed": plain.with_changes(**changes)}, labelled, seed=1)
    assert not np.array_equal(found["plain"](unseen), found["changed"](unseen))


def test_seeds_differ_and_members_of_neighbouring_seeds_are_not_shared(labelled, unseen):
    recipe = {"two": QUICK.with_changes(members=2, recalibrated=False)}
    heads = [head for seed in (0, 1) for head in train(recipe, labelled, seed=seed)["two"].head.heads]
    firsts = [head.confidence(unseen.hidden, unseen.logits).tobytes() for head in heads]
    assert len(set(firsts)) == 4


def test_recalibration_uses_what_did_not_train_the_first_stage(labelled, unseen):
    # a router that is right far less often than it says outside of the train split
    spoiled = (labelled.split != "train") & (np.arange(len(labelled)) % 10 > 0)
    true_policy = np.where(spoiled, (labelled.policy + 1) % 3, labelled.true_policy)
    shifted = type(labelled)(**{**vars(labelled), "true_policy": true_policy})
    still = QUICK.with_changes(first=SFTConfig(epochs=0), second=None)
    found = train({"raw": still.with_changes(recalibrated=False), "recalibrated": still}, shifted)
    assert found["recalibrated"](unseen).mean() < 0.2 < found["raw"](unseen).mean()


def test_cross_fitting_lets_every_row_teach_and_none_judge_its_own_teaching(labelled, unseen, monkeypatch):
    seen, told = [], []
    fit, choose = module.sft.fit, module.choose
    monkeypatch.setattr(module.sft, "fit", lambda head, *args: seen.append((head, *args[:2])) or fit(head, *args))
    monkeypatch.setattr(module, "choose", lambda p, y, **kw: told.append((p, y)) or choose(p, y, **kw))
    found = train({"crossed": QUICK.with_changes(folds=4)}, labelled, seed=2)["crossed"]
    assert len(found.head.heads) == len(seen) == 4
    rows = [{h.tobytes() for h in e.hidden} for e in (labelled, *(e for _, *es in seen for e in es))]
    validated = rows[2::2]
    # Each row validates once, and never where it trains.
    assert sum(map(len, validated)) == len(set().union(*validated)) == len(rows[0])
    for trains, validates in zip(rows[1::2], validated, strict=True):
        assert not trains & validates
    assert set().union(*rows[1::2]) == rows[0]
    [(p, y)] = told
    assert len(p) == len(y) == len(labelled)
    # What a row is told comes from the head that it validated.
    for head, (_, _, validation) in zip(found.head.heads, seen, strict=True):
        places = [np.flatnonzero((labelled.hidden == h).all(1))[0] for h in validation.hidden]
        np.testing.assert_allclose(p[places], head.confidence(validation.hidden, validation.logits))
    assert np.isfinite(found(unseen)).all()
