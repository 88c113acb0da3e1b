"""Escalation as a step: the numbers are those of calib, and thresholds are chosen where test rows have no say."""

import numpy as np
import pyarrow as pa
import pytest

from routecal.calib import escalation
from routecal.calib.examples import LABELLED
from routecal.calib.extra_cost import ExtraCost
from routecal.calib.need import ALL_KEPT, kept, need_by_confidence
from routecal.calib.promise.asked import Promise
from routecal.calib.promise.slices import promised_slices
from routecal.calib.promise.walks import loss_at_most
from routecal.storage.artifact import Artifact, read_table
from routecal.tasks.escalation_result import CONFIDENCE, JOINT, Escalation, Promised, serving_rule
from routecal.tasks.escalation_verdict import escalation_figures, rule_line
from routecal.tasks.evaluate import FINAL
from routecal.tasks.operating_table import FEWEST
from tests.tasks.escalation.measured import FLAT, WIDE, changed, measured, parts


def test_the_numbers_are_those_of_calib(examples: Artifact, predictions: Artifact) -> None:
    found = measured(predictions, examples, WIDE, methods=(FINAL,))
    (there, *chosen_on), (here, policy, p) = parts(examples, predictions, "p")
    need, at = need_by_confidence(*chosen_on), need_by_confidence(policy, p)
    threshold = loss_at_most(need, there.medium_right - there.large_right, level=0.2, delta=0.5).threshold
    saving = found.methods[CONFIDENCE]
    assert saving == escalation.saving_at(here, at, threshold=threshold, margin=0.2, to_large=policy == 1)
    assert list(found.methods) == list(found.curves) == list(found.bands) == [found.rule] == [CONFIDENCE]
    assert (found.note, found.remarks, found.n_chosen_on, found.margin) == ("", [], len(need), 0.2)
    share = float(kept(need, threshold).mean())
    assert found.promise == Promised(sentence="at most 20 points lost, with 50 %", holds=True, kept=share)
    whole, drawn = escalation.curve(here, at), found.curves[CONFIDENCE]
    assert [(one.cost, one.quality) for one in (drawn[0], drawn[-1])] == [
        (pytest.approx(whole.cost[i]), pytest.approx(whole.quality[i])) for i in (0, -1)
    ]
    assert found.policies["router alone"] == pytest.approx((drawn[-1].cost, drawn[-1].quality))
    assert found.policies["all-large"] == pytest.approx((drawn[0].cost, drawn[0].quality))
    assert found.policies["perfect oracle"] == pytest.approx(found.oracle[-1])
    band = found.bands[CONFIDENCE]
    assert len(band) == len(drawn) <= 101
    assert all(low <= one.quality <= high for (low, high), one in zip(band, drawn, strict=True))
    assert found.areas == {CONFIDENCE: escalation.area_over_random(at, here)}
    assert found.area_difference is None
    large = ~kept(at, threshold)
    assert sum(cell.cost for cell in found.regret) == pytest.approx(
        np.where(large, 20, 1).mean() - found.policies["perfect oracle"][0]
    )
    assert Escalation.model_validate_json(found.model_dump_json()) == found


def test_the_joint_outcome_decides_where_it_is_there(
    examples: Artifact, predictions: Artifact, gains: Artifact
) -> None:
    found = measured(predictions, examples, outcomes=gains)
    (there, _, gain), (here, policy, at) = parts(examples, gains, "gain")
    threshold = loss_at_most(gain, there.medium_right - there.large_right, level=0.01, delta=0.5).threshold
    assert list(found.methods) == ["entropy", CONFIDENCE, JOINT]
    assert found.methods[JOINT] == escalation.saving_at(
        here, at, threshold=threshold, margin=0.01, to_large=policy == 1
    )
    down = found.methods[JOINT].point.downgraded
    assert down == pytest.approx(((policy == 1) & (at <= threshold)).mean())
    assert down
    assert found.extra_cost == ExtraCost()
    area, d = found.areas[JOINT], found.area_difference
    assert area == escalation.area_over_random(at, here)
    assert area is not None
    assert d is not None
    assert d.low > 0
    # the same confidence rule, whether or not it decides
    alone = measured(predictions, examples)
    assert found.methods[CONFIDENCE] == alone.methods[CONFIDENCE]
    assert "by the joint outcome" in rule_line(found)
    assert "by confidence" in rule_line(alone)
    assert found.methods[JOINT].saving.value > alone.methods[CONFIDENCE].saving.value


def test_confidence_decides_where_the_terms_say_so(examples: Artifact, predictions: Artifact, gains: Artifact) -> None:
    terms = FLAT.model_copy(update={"decides_by": "confidence"})
    found, alone = measured(predictions, examples, terms, outcomes=gains), measured(predictions, examples)
    assert list(found.methods) == ["entropy", JOINT, CONFIDENCE]
    assert found.methods[CONFIDENCE] == alone.methods[CONFIDENCE]
    assert (found.promise, found.basis, found.points) == (alone.promise, alone.basis, alone.points)
    assert found.area_difference is not None
    assert "by confidence, whether the router's policy is right, as was asked for" in rule_line(found)
    assert "nothing here tells" in rule_line(alone)
    rule = serving_rule(found, terms, "somewhere")
    assert (rule.decides_by, rule.threshold) == ("confidence", serving_rule(alone, FLAT, "").threshold)


def test_topics_of_enough_test_rows_are_measured_by_themselves(
    examples: Artifact, predictions: Artifact, gains: Artifact
) -> None:
    n, split = examples.rows, read_table(examples)["split"].to_pylist()
    topics = ["tides" if i % 2 else "owls" if i % 3 else None for i in range(n)]
    found = measured(predictions, changed(examples, topic=topics), FLAT, outcomes=gains)
    tested = np.array([str(t) for t, s in zip(topics, split, strict=True) if s == "test"])
    counts = {name: int((tested == name).sum()) for name in ("tides", "owls")}
    assert {name: saving.n for name, saving in found.topics.items()} == {k: v for k, v in counts.items() if v >= FEWEST}
    assert found.topics
    _, (here, _, at) = parts(examples, gains, "gain")
    rows = tested == "tides"
    threshold = found.methods[JOINT].point.threshold
    assert found.topics["tides"] == escalation.saving_at(here.where(rows), at[rows], threshold=threshold, margin=0.01)


def test_it_is_said_in_which_slices_the_promise_holds_by_itself(
    examples: Artifact, predictions: Artifact, gains: Artifact
) -> None:
    topics: list[object] = ["tides" if i % 3 else None for i in range(examples.rows)]
    asked = changed(examples, topic=topics)
    found = measured(predictions, asked, FLAT, outcomes=gains)
    (there, _, gain), _ = parts(asked, gains, "gain")
    rows = [r for r in read_table(asked).to_pylist() if r["split"] in LABELLED]
    true = [r["true_policy"] == "Complex_Query" for r in rows]
    own = {"router's policy": [r["router_policy"] for r in rows], "topic": [r["topic"] or "no topic" for r in rows]}
    promise, threshold = Promise(risk="loss", at_most=0.01, probability=0.5), found.methods[JOINT].point.threshold
    for kind, slices in own.items():
        by_slice = promised_slices(gain, true, there.medium_right, there.large_right, slices, promise)
        assert found.slices[kind] == by_slice.at(threshold)
    assert any(f"By topic: {found.slices['topic'][0].lower()}" in one.meaning for one in escalation_figures(found))
    other = measured(predictions, asked, FLAT.model_copy(update={"call_rate": 0.5}), outcomes=gains)
    assert other.slices == {}


def test_a_large_model_that_is_never_better_is_said_to_be_so(examples: Artifact, predictions: Artifact) -> None:
    grades = read_table(examples)["medium_grade"].to_pylist()
    found = measured(predictions, changed(examples, large_grade=grades))
    assert found.remarks[0].startswith("On none of 200 queries is the large model right where the medium model is not")
    assert found.areas == {"entropy": None, CONFIDENCE: None}
    assert found.methods[CONFIDENCE].point.threshold == ALL_KEPT


def test_test_rows_choose_nothing(examples: Artifact, predictions: Artifact) -> None:
    """Other grades on the test split change what is reported there, and no threshold."""
    table = read_table(examples)
    test = np.array(table["split"].to_pylist()) == "test"
    order = np.arange(table.num_rows)
    order[test] = np.random.default_rng(0).permutation(order[test])
    grades = {name: table[name].take(pa.array(order)).to_pylist() for name in ("medium_grade", "large_grade")}
    before, after = (measured(predictions, e) for e in (examples, changed(examples, **grades)))
    for name in before.methods:
        assert after.methods[name].point.threshold == before.methods[name].point.threshold
    assert after.curves != before.curves
