"""The ablation's table: fair by construction, one thing changed per line, improper rewards without a warning."""

import logging

import numpy as np
import pytest

from routecal.calib.learn.rl_config import RLConfig
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.trial import ablation
from routecal.calib.trial.ablation import REFERENCE, VARIANTS, control
from routecal.calib.trial.methods import AS_WRITTEN, DEFAULT, HEADS
from tests.calib.made import examples

BUDGET = ("epochs", "lr", "batch", "weight_decay", "early_stopping", "patience")


def test_the_reference_is_the_default_head():
    second = VARIANTS[REFERENCE].recipe.second.model_copy(update={"allow_improper": False})
    assert VARIANTS[REFERENCE].recipe.with_changes(second=second) == HEADS[DEFAULT]


def test_every_variant_has_the_budget_of_the_default_but_the_one_that_is_as_written():
    default = VARIANTS[REFERENCE].recipe
    for name, variant in VARIANTS.items():
        if name == AS_WRITTEN:
            continue
        assert variant.recipe.first == default.first, name
        for field in BUDGET if variant.recipe.second is not None else ():
            assert getattr(variant.recipe.second, field) == getattr(default.second, field), (name, field)
        if variant.recipe.second is not None:
            assert variant.recipe.second_rows == default.second_rows, name


def test_the_control_differs_from_rl_in_nothing_but_the_loss():
    assert isinstance(control(), SFTConfig)
    assert {f: getattr(control(), f) for f in BUDGET} == {f: getattr(RLConfig(), f) for f in BUDGET}


def test_no_two_lines_are_the_same():
    assert len({variant.recipe for variant in VARIANTS.values()}) == len(VARIANTS)
    assert len({(variant.factor, variant.level) for variant in VARIANTS.values()}) == len(VARIANTS)


def test_improper_rewards_run_without_a_warning(caplog, monkeypatch):
    monkeypatch.setattr(
        ablation, "VARIANTS", {name: VARIANTS[name] for name in ("reward linear", "surrogate", AS_WRITTEN)}
    )
    made = examples(90, seed=1)
    labelled = type(made)(
        **{**vars(made), "split": np.array(["train", "calibration", "validation"])[np.arange(90) % 3]}
    )
    with caplog.at_level(logging.WARNING):
        found = ablation.fit(labelled, seed=0)
    assert not caplog.records
    p = found[AS_WRITTEN](examples(50, seed=2))
    assert p.min() >= 0
    assert p.max() <= 1


@pytest.mark.parametrize("factor", ["second stage", "reward", "calibration term", "ranking term", "residual"])
def test_what_the_method_asks_to_ablate_is_there(factor):
    assert factor in {variant.factor for variant in VARIANTS.values()}
