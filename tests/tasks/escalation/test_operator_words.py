"""What the operator may ask instead: a budget, a call rate, a value, another risk or map; and the operating points."""

import re

import numpy as np
import pytest

from routecal.calib import escalation
from routecal.calib.examples import LABELLED
from routecal.calib.need import NOTHING_KEPT, need_by_confidence
from routecal.calib.promise.walks import harm_at_most, keep_at_most, loss_at_most
from routecal.calib.settings import EscalationTerms
from routecal.storage.artifact import Artifact, read_table
from routecal.tasks.escalation_result import CONFIDENCE, JOINT, serving_rule
from routecal.tasks.escalation_verdict import escalation_figures, money
from routecal.tasks.evaluate import FINAL
from tests.tasks.escalation.measured import FLAT, WIDE, measured, parts


@pytest.mark.parametrize("words", [{"budget": 9_000.0}, {"call_rate": 0.25}, {"answer_value": 100.0}])
def test_the_operator_s_other_words_choose_the_threshold(
    examples: Artifact, predictions: Artifact, gains: Artifact, words: dict[str, float]
) -> None:
    terms = EscalationTerms(medium_price=1, large_price=20, **words)
    found = measured(predictions, examples, terms, outcomes=gains)
    (there, _, gain), _ = parts(examples, gains, "gain")
    want = {
        "budget": lambda: escalation.threshold_at_budget(gain, there.medium_cost, there.large_cost, 9_000),
        "call_rate": lambda: escalation.threshold_at_call_rate(gain, 0.25),
        "answer_value": lambda: 19 / 100,
    }[next(iter(words))]()
    assert found.methods[JOINT].point.threshold == pytest.approx(want)
    assert (CONFIDENCE in found.methods) == ("answer_value" not in words)  # which only a gain can be weighed with
    assert found.promise is not None
    assert not found.promise.holds
    assert "no promise of quality" in money(found)


def test_what_is_left_of_a_budget_is_not_spent_where_nothing_is_gained(
    examples: Artifact, predictions: Artifact, gains: Artifact
) -> None:
    terms = EscalationTerms(medium_price=1, large_price=20, call_rate=1)
    found = measured(predictions, examples, terms, outcomes=gains)
    assert found.methods[JOINT].point.threshold == 0
    assert found.methods[CONFIDENCE].point.threshold == NOTHING_KEPT


def test_confidence_has_no_threshold_for_a_value(examples: Artifact, predictions: Artifact) -> None:
    found = measured(predictions, examples, EscalationTerms(medium_price=1, large_price=20, answer_value=100.0))
    assert found.rule is None
    assert "a confidence does not tell how much likelier the large model is right" in found.note


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"budget": 500.0, "medium_price": 1, "large_price": 20}, "a budget of 500 .* nearest .* is 1000"),
        ({"budget": 500.0}, "a budget of 500 .* cannot be had: the cost of 200 of 200 answers .* is a call rate"),
        ({"answer_value": 2.0}, "a right answer worth 2 cannot be had: the cost of 200"),
        ({"answer_value": 2.0, "medium_price": 1, "large_price": 1}, "the large model is not the dearer one"),
    ],
)
def test_words_that_cannot_be_kept_are_a_sentence(
    examples: Artifact, predictions: Artifact, gains: Artifact, terms: dict[str, float], why: str
) -> None:
    found = measured(predictions, examples, EscalationTerms(**terms), methods=(FINAL,), outcomes=gains)
    assert re.search(why, found.note)
    assert found.rule is None
    assert found.note in money(found)


UP = {"Ambiguous_Query": "large"}


@pytest.mark.parametrize(("risk", "policy_map"), [("harm", UP), ("kept", {}), ("kept", UP)])
def test_another_risk_is_walked_for_what_it_counts(
    examples: Artifact, predictions: Artifact, gains: Artifact, risk: str, policy_map: dict[str, str]
) -> None:
    words = {"risk": risk, "at_most": 0.1, "probability": 0.5, "policy_map": policy_map}
    terms = EscalationTerms(medium_price=1, large_price=20, **words)
    found = measured(predictions, examples, terms, outcomes=gains)
    (there, _, gain), _ = parts(examples, gains, "gain")
    rows = read_table(examples).to_pylist()
    goes_up = {"Complex_Query", *policy_map}
    needs_large = np.array([r["true_policy"] in goes_up for r in rows if r["split"] in LABELLED])
    harm = (there.medium_right == 0) & (there.large_right == 1)
    walk, events = (harm_at_most, harm) if risk == "harm" else (keep_at_most, needs_large)
    assert found.methods[JOINT].point.threshold == walk(gain, events, level=0.1, delta=0.5).threshold
    assert found.margin == 0.01  # of quality, which nothing was said of
    assert "with 50 %" in money(found)


def test_by_confidence_the_map_sends_ambiguous_queries_up_and_the_folder_keeps_it(
    examples: Artifact, predictions: Artifact
) -> None:
    names = {"Complex_Query": "pro", "Ambiguous_Query": "pro"}
    terms = WIDE.model_copy(update={"policy_map": names})
    found = measured(predictions, examples, terms, methods=(FINAL,))
    (there, *chosen_on), (here, policy, p) = parts(examples, predictions, "p")
    up = policy != 0
    assert (policy == 2).any()
    need, at = need_by_confidence(*chosen_on, terms.whole_map), np.where(up, np.inf, -p)
    threshold = loss_at_most(need, there.medium_right - there.large_right, level=0.2, delta=0.5).threshold
    of_calib = escalation.saving_at(here, at, threshold=threshold, margin=0.2, to_large=up)
    assert found.methods == {CONFIDENCE: of_calib}
    alone = np.where(up, here.large_right, here.medium_right).mean()
    assert found.policies["router alone"] == (pytest.approx(np.where(up, 20, 1).mean()), pytest.approx(alone))
    assert any(f"Policy map: {terms.whole_map}." in one.meaning for one in escalation_figures(found))
    assert serving_rule(found, terms, "").policy_map == terms.whole_map
    assert not any("Policy map" in one.meaning for one in escalation_figures(measured(predictions, examples, WIDE)))


def test_operating_points_are_chosen_on_labelled_rows_and_measured_on_test_rows(
    examples: Artifact, predictions: Artifact, gains: Artifact
) -> None:
    found = measured(predictions, examples, FLAT, outcomes=gains)
    (there, _, gain), (here, _, at) = parts(examples, gains, "gain")
    by_name = {one.asked: one for one in found.points}
    assert list(by_name) == [
        *(f"at most {lost} lost, with 50 %" for lost in ("0.5 points", "1 point", "2 points")),
        *("10% saved", "20% saved", "30% saved"),
    ]
    promised = loss_at_most(gain, there.medium_right - there.large_right, level=0.02, delta=0.5).threshold
    two = by_name["at most 2 points lost, with 50 %"]
    assert two.is_promised
    assert two.saving == escalation.saving_at(here, at, threshold=promised, margin=0.02)
    aimed = escalation.threshold_at_saving(gain, there.medium_cost, there.large_cost, 0.2)
    assert not by_name["20% saved"].is_promised
    assert by_name["20% saved"].saving == escalation.saving_at(here, at, threshold=aimed)
    strict = measured(predictions, examples, EscalationTerms(medium_price=1, large_price=20), outcomes=gains)
    assert [one.saving is None for one in strict.points] == [True, True, True, False, False, False]
