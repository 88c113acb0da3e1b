"""Rules rank as their worlds say, and tell no labelled row what its own outcome taught."""

from dataclasses import replace

import numpy as np
import pytest

from routecal.calib.escalation.area import area_of_counts
from routecal.calib.need import goes_to_large
from routecal.calib.trial import learned_rules
from routecal.calib.trial.decision_rows import Answer
from routecal.calib.trial.decisions import CONFIDENCE, JOINT, MEDIUM_WRONG, OUTCOME_VARIANTS, REGRESSION, RULES, decide
from tests.calib.trial.made import World, world

LEARNED = ("ridge of the gain", "two heads", "boosting", "neighbours", "win rate", MEDIUM_WRONG, JOINT)


@pytest.fixture(scope="module")
def made() -> World:
    return world()


@pytest.fixture(scope="module")
def said(made: World) -> dict[str, Answer]:
    return decide(made.rows)


def area(need: np.ndarray, made: World) -> float:
    return float(area_of_counts(need, made.test)(np.ones((1, len(need))))[0])


def test_rules_that_ask_what_the_large_model_adds_rank_before_those_that_do_not(
    made: World, said: dict[str, Answer]
) -> None:
    found = {rule: area(answer.test.need, made) for rule, answer in said.items()}
    for gain in (JOINT, "ridge of the gain", "two heads", "win rate"):
        # hardness is half of it: whether a hard query is hopeless decides what the large model is worth
        assert found[gain] > found[MEDIUM_WRONG] + 0.1
        assert found[MEDIUM_WRONG] > found[CONFIDENCE]
    assert abs(found["random"]) < 0.1
    assert found["all medium"] == found["all large"] == 0


@pytest.mark.parametrize("rule", RULES)
def test_every_row_is_told_something_usable(made: World, said: dict[str, Answer], rule: str) -> None:
    for one, examples in ((said[rule].labelled, made.rows.labelled), (said[rule].test, made.rows.test)):
        assert one.need.shape == (len(examples),)
        assert not np.isnan(one.need).any()
        assert (one.need > -np.inf).all()
        for p in one[1:]:
            assert p is None or (p.shape == one.need.shape and p.min() >= 0 and p.max() <= 1)


@pytest.mark.parametrize("rule", [CONFIDENCE, "entropy"])
def test_a_confidence_in_a_policy_never_sends_a_complex_query_down(
    made: World, said: dict[str, Answer], rule: str
) -> None:
    complex_ = goes_to_large(made.rows.test.policy)
    assert 0 < complex_.sum() < len(complex_)
    assert (np.isinf(said[rule].test.need) == complex_).all()


@pytest.mark.parametrize("rule", LEARNED)
def test_no_labelled_row_is_told_by_its_own_outcome(made: World, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # with one strength there is nothing that all rows choose together
    monkeypatch.setattr(learned_rules, "STRENGTHS", (0.01,))
    monkeypatch.setattr(learned_rules, "PENALTIES", (100.0,))
    monkeypatch.setattr(learned_rules, "NEIGHBOURS", (10,))
    monkeypatch.setattr(learned_rules, "MOST_TREES", 1)
    monkeypatch.setattr("routecal.calib.outcome.fit.PENALTIES", (100.0,))
    monkeypatch.setattr("routecal.calib.outcome.fit.STARTS", ("base rates",))
    rows = made.rows
    own = rows.fold == 0
    dealt = rows.cell.copy()
    dealt[own] = np.random.default_rng(0).permutation(dealt[own])
    as_is, other = (RULES[rule](replace(rows, cell=cell), seed=0).labelled.need for cell in (rows.cell, dealt))
    assert np.array_equal(as_is[own], other[own])
    assert not np.array_equal(as_is[~own], other[~own])


def test_what_rules_state_is_calibrated(made: World, said: dict[str, Answer]) -> None:
    truth = (made.correct, made.test.medium_right, made.test.large_right)
    for rule in (JOINT, "boosting", "two heads"):
        for p, y in zip((said[rule].test.confidence, *said[rule].test[1:3]), truth, strict=True):
            if p is not None:
                assert p.mean() == pytest.approx(y.mean(), abs=0.06)
                assert ((p - y) ** 2).mean() < y.var() - 0.02


def test_a_class_too_rare_to_learn_has_its_base_rate(made: World) -> None:
    rows = replace(made.rows, cell=np.where(np.arange(len(made.rows.cell)) < 4, 2, 0))
    need = RULES["win rate"](rows, seed=0).test.need
    assert len(set(need.tolist())) == 1
    assert need[0] == pytest.approx(4.5 / 401)


def test_variants_of_the_outcome_head_start_from_its_regressions() -> None:
    rows = world(100, 50).rows
    found = {name: answer.test.need for name, answer in decide(rows, "outcome variants").items()}
    assert (found[REGRESSION] == learned_rules.joint_outcome(rows).test.need).all()
    for name in set(OUTCOME_VARIANTS) - {REGRESSION}:
        others = [need for other, need in found.items() if other != name]
        assert all(0 < np.abs(found[name] - need).max() < 0.3 for need in others)
