"""Recipes: what is shared is trained once and comes out the same, and every switch does something."""

import numpy as np
import pytest

from routecal.calib.learn import recipe as module
from routecal.calib.learn.cross_fit import Deal
from routecal.calib.learn.recipe import Recipe, train
from routecal.calib.learn.rl_config import RLConfig
from routecal.calib.learn.sft import SFTConfig
from tests.calib.made import examples

QUICK = Recipe(folds=0, first=SFTConfig(epochs=2, lr=1e-2), second=RLConfig(epochs=1, lr=1e-2, early_stopping=False))
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
        "crossed": QUICK.with_changes(folds=4),
    }
    together = train(recipes, labelled, seed=5)
    for name, recipe in recipes.items():
        alone = train({name: recipe}, labelled, seed=5)[name]
        assert np.array_equal(together[name](unseen), alone(unseen)), name


def test_stages_in_common_are_trained_once(labelled, monkeypatch):
    calls = []
    steps = module.sft.steps
    monkeypatch.setattr(module.sft, "steps", lambda *args: calls.append(args) or steps(*args))
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


def test_with_folds_the_recalibrator_sees_every_row_as_the_head_that_left_it_out_tells_it(labelled, monkeypatch):
    told, choose = [], module.choose_recalibrator
    monkeypatch.setattr(module, "choose_recalibrator", lambda p, y, **kw: told.append((p, y)) or choose(p, y, **kw))
    found = train({"crossed": QUICK.with_changes(folds=4)}, labelled, seed=2)["crossed"]
    [(p, y)] = told
    assert np.array_equal(y, labelled.y)
    fold = Deal.of(labelled, folds=4, seed=2).fold
    members = found.head.member_confidences(labelled.hidden, labelled.logits)
    np.testing.assert_array_equal(p, members[fold, np.arange(len(fold))])
