"""Escalation as a step: costs as recorded, as given, or not at all; thresholds that test rows have no say in."""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from routecal.calib import escalation
from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.escalation import Outcomes
from routecal.calib.examples import LABELLED
from routecal.calib.extra_cost import ExtraCost
from routecal.calib.learn.cross_fit import CrossFitPlan
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.metrics import Estimate
from routecal.calib.need import ALL_KEPT, NOTHING_KEPT, kept, need_by_confidence
from routecal.calib.policy import POLICIES
from routecal.calib.promise.asked import Promise
from routecal.calib.promise.slices import promised_slices
from routecal.calib.promise.walks import harm_at_most, keep_at_most, loss_at_most
from routecal.calib.settings import EscalationTerms, Reading
from routecal.folder_digest import folder_digest
from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.folder_artifact import local_folder
from routecal.storage.layout import Home
from routecal.tasks.escalate import escalate
from routecal.tasks.escalation_result import CALLS, CONFIDENCE, JOINT, Escalation, Promised, serving_rule
from routecal.tasks.escalation_verdict import escalation_figures, money, rule_line, sentence
from routecal.tasks.evaluate import FINAL, predict
from routecal.tasks.operating_table import FEWEST
from routecal.tasks.pack import pack_router
from routecal.tasks.train import open_head, train_sft
from tests.tasks.made import Made

HALF = EscalationTerms(margin_confidence=0.5)
FLAT = EscalationTerms(medium_price=1, large_price=20, price_unit="relative", margin_confidence=0.5)
WIDE = EscalationTerms(medium_price=1, large_price=20, margin=0.2, margin_confidence=0.5)


@pytest.fixture(scope="module")
def head(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTECAL_HOME", str(tmp_path_factory.mktemp("head")))
        return train_sft.fn(made.examples, made.features, CrossFitPlan(hidden_units=8), SFTConfig(epochs=5, lr=1e-2))


@pytest.fixture(scope="module")
def predictions(made: Made, head: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTECAL_HOME", str(tmp_path_factory.mktemp("predictions")))
        return predict.fn(made.examples, made.features, {FINAL: head})


def measured(
    predictions: Artifact,
    examples: Artifact,
    terms: EscalationTerms = FLAT,
    methods: Sequence[str] = ("entropy", FINAL),
    outcomes: Artifact | None = None,
) -> Escalation:
    return escalate.fn(predictions, examples, methods, LABELLED, terms, outcomes)


def changed(examples: Artifact, **columns: list[object]) -> Artifact:
    """The examples with other values in some columns."""
    table = read_table(examples)
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(name), pa.array(values, table.schema.field(name).type))
    return write_table(table, "examples", home=Home.from_env())


@pytest.fixture(scope="module")
def examples(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """As if the router, which sends everything to the large model, sent some of it elsewhere."""
    policies: list[object] = [POLICIES[1 if i % 4 == 0 else 2 if i % 7 == 0 else 0].value for i in range(200)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTECAL_HOME", str(tmp_path_factory.mktemp("examples")))
        return changed(made.examples, router_policy=policies)


@pytest.fixture(scope="module")
def gains(examples: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """As if an outcome head told most of what the large model gains."""
    rows, rng = read_table(examples).to_pylist(), np.random.default_rng(0)
    right = np.array([[row[f"{model}_grade"] == "CORRECT" for row in rows] for model in ("medium", "large")], float)
    told = np.clip(0.5 + 0.3 * (right - 0.5) + rng.normal(0, 0.05, right.shape), 0, 1)
    columns = {name: [row[name] for row in rows] for name in ("query_id", "split")}
    columns |= {"gain": told[1] - told[0], "medium_right": told[0], "large_right": told[1], "confidence": told[0]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTECAL_HOME", str(tmp_path_factory.mktemp("gains")))
        return write_table(pa.table(columns), "outcome_predictions", home=Home.from_env())


def parts(examples: Artifact, values: Artifact, column: str) -> list[tuple[Outcomes, np.ndarray, np.ndarray]]:
    """(outcomes, policy, values of the column) of the labelled rows and of the test rows, read anew."""
    rows, said = read_table(examples).to_pylist(), {r["query_id"]: r for r in read_table(values).to_pylist()}
    names = [policy.value for policy in POLICIES]
    found = []
    for splits in (LABELLED, ("test",)):
        kept = [r for r in rows if r["split"] in splits]
        grades = ([r["medium_grade"] for r in kept], [r["large_grade"] for r in kept])
        policy = np.array([names.index(r["router_policy"]) for r in kept])
        outcomes = Outcomes.of(*grades, medium_cost=1, large_cost=20)
        found.append((outcomes, policy, np.array([said[r["query_id"]][column] for r in kept])))
    return found


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


def test_what_is_packed_decides_as_was_measured_by_the_joint_outcome(
    examples: Artifact, predictions: Artifact, gains: Artifact
) -> None:
    n = examples.rows
    tokens = read_table(examples)["n_tokens"].to_numpy()
    priced = changed(examples, medium_cost_usd=[0.0] * n, large_cost_usd=(0.001 * tokens + 0.01).tolist())
    found = measured(predictions, priced, HALF, outcomes=gains)
    rule = serving_rule(found, HALF, "somewhere")
    assert (rule.decides_by, rule.prices, rule.extra_cost) == ("gain", None, found.extra_cost)
    assert found.extra_cost.per_token / found.extra_cost.flat == pytest.approx(0.1)
    _, (_, _, gain) = parts(priced, gains, "gain")
    in_test = np.array(read_table(priced)["split"].to_pylist()) == "test"
    large = rule.escalates(np.zeros(len(gain)), gain, tokens[in_test])
    assert large.mean() == pytest.approx(found.methods[JOINT].point.large)
    assert 0 < large.mean() < 1
    assert rule.threshold_from == "somewhere, at most 1 point lost, with 50 %"
    flat = serving_rule(measured(predictions, examples, FLAT, outcomes=gains), FLAT, "")
    assert flat.prices is not None
    assert (flat.prices.medium, flat.prices.large, flat.extra_cost) == (1, 20, ExtraCost())


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


def test_recorded_costs_are_used_and_given_ones_go_before_them(examples: Artifact, predictions: Artifact) -> None:
    n = examples.rows
    priced = changed(examples, medium_cost_usd=[0.001] * n, large_cost_usd=[0.03] * n)
    found = measured(predictions, priced, HALF)
    assert (found.unit, found.note) == ("USD", "")
    assert found.policies["all-medium"][0] == pytest.approx(0.001)
    assert found.policies["all-large"][0] == pytest.approx(0.03)
    assert measured(predictions, priced).policies["all-large"][0] == 20


@pytest.mark.parametrize(
    ("costs", "terms", "why"),
    [
        ({}, HALF, "200 of 200 answers of the medium model is unknown"),
        (
            {"medium_cost_usd": 0.1},
            HALF,
            "200 of 200 answers of the large model is unknown",
        ),
        (
            {},
            EscalationTerms(medium_price=1, margin_confidence=0.5),
            "200 of 200 answers of the large model is unknown",
        ),
        ({"medium_cost_usd": 0.0, "large_cost_usd": 0.0}, HALF, "costs nothing"),
    ],
)
def test_without_prices_calls_are_counted_and_the_reason_is_given(
    examples: Artifact, predictions: Artifact, costs: dict[str, float], terms: EscalationTerms, why: str
) -> None:
    columns: dict[str, list[object]] = {name: [value] * examples.rows for name, value in costs.items()}
    found = measured(predictions, changed(examples, **columns), terms)
    assert found.unit == CALLS
    assert why in found.note
    point = found.methods[CONFIDENCE].point
    assert point.cost == pytest.approx(point.large)
    assert found.policies["all-medium"][0] == 0
    # prices have no say in the threshold
    assert point.threshold == measured(predictions, examples).methods[CONFIDENCE].point.threshold


def test_one_missing_price_is_as_bad_as_all(examples: Artifact, predictions: Artifact) -> None:
    n = examples.rows
    one = changed(examples, medium_cost_usd=[0.1] * n, large_cost_usd=[0.1] * (n - 1) + [None])
    found = measured(predictions, one, HALF)
    assert found.unit == CALLS
    assert "1 of 200 answers of the large model is unknown" in found.note


def test_without_grades_there_is_a_sentence_instead(examples: Artifact, predictions: Artifact) -> None:
    n = examples.rows
    found = measured(predictions, changed(examples, medium_grade=[None] * n))
    assert not found.methods
    assert not found.curves
    assert sentence(found).startswith("No escalation threshold: 200 of 200 answers of the medium model have no grade")


def test_the_sentence_says_what_is_shown(examples: Artifact, predictions: Artifact) -> None:
    found = measured(predictions, examples, WIDE)
    saving = found.methods[CONFIDENCE]
    d = saving.quality_difference

    def said(low: float, high: float, non_inferior: bool) -> str:
        other = d.model_copy(update={"low": low, "high": high})
        claim = saving.model_copy(update={"quality_difference": other, "non_inferior": non_inferior})
        return sentence(found.model_copy(update={"methods": {CONFIDENCE: claim}}))

    assert "no worse than all-large within 20 points: shown" in said(-0.1, 0.02, True)
    assert "worse than all-large by more than 20 points" in said(-0.5, -0.3, False)
    assert f"neither shown nor ruled out on {saving.n} queries" in said(-0.3, 0.02, False)
    line = sentence(found)
    assert f"{saving.saving.value:.1%}"[:-1] in line
    assert f"below {-saving.point.threshold:.3f} (chosen on {found.n_chosen_on} labelled" in line
    # fewer than 268 rows: at confidence .95 nothing but all-large passes
    everything = sentence(measured(predictions, examples, EscalationTerms(medium_price=1, large_price=20)))
    assert everything.startswith(
        f"Nothing is saved: on {found.n_chosen_on} labelled queries no confidence is high enough"
    )
    assert "is saved" not in everything.removeprefix("Nothing is saved")
    assert "shown" not in everything
    (cost, quality), (_, best) = found.policies["router alone"], found.policies["all-large"]
    assert everything.endswith(
        f"The router alone saves {1 - cost / 20:.1%} (in {found.unit}) at {100 * (quality - best):+.1f} points of "
        "quality."
    )
    assert "(in the unit of the prices given)" in line
    assert "A random mix of that quality saves" in line


@pytest.mark.parametrize(
    ("value", "low", "begins", "hedged"),
    [
        (0.0004, -0.01, "Nothing is saved: escalating confidence below", False),
        (0.0005, -0.01, "Escalating confidence below", True),
        (0.02, 0.0, "Escalating confidence below", True),
        (0.02, 0.001, "Escalating confidence below", False),
    ],
)
def test_a_saving_that_is_none_or_may_be_none_is_said_to_be_so(
    examples: Artifact, predictions: Artifact, value: float, low: float, begins: str, hedged: bool
) -> None:
    found = measured(predictions, examples, WIDE)
    saving = found.methods[CONFIDENCE].model_copy(update={"saving": Estimate(value=value, low=low, high=0.05)})
    line = sentence(found.model_copy(update={"methods": {CONFIDENCE: saving}}))
    assert line.startswith(begins)
    assert ("which may be nothing," in line) == hedged


def test_what_is_packed_routes_as_was_measured(made: Made, head: Artifact, predictions: Artifact) -> None:
    rule = serving_rule(measured(predictions, made.examples), FLAT, "somewhere")
    packed = pack_router.fn(head, made.router, Reading(), rule)
    assert packed.kind == "calibrated"
    router = CalibratedRouter.from_pretrained(local_folder(packed))
    table = read_table(made.examples)
    # Labelled queries are told by the heads that left them out, new ones by all.
    table = table.filter(pa.compute.field("split") == "test")
    said = {r["query_id"]: r["p"] for r in read_table(predictions).to_pylist() if r["method"] == FINAL}
    decisions = router.route(table["query"].to_pylist())
    assert [d.policy.value for d in decisions] == table["router_policy"].to_pylist()
    assert [d.confidence for d in decisions] == pytest.approx(
        [said[i] for i in table["query_id"].to_pylist()], abs=2e-3
    )
    assert {(d.threshold, d.head_version) for d in decisions} == {(rule.threshold, head.sha256[:16])}
    assert router.serving.threshold_from.startswith("somewhere, at most 1 point lost")
    # a packed head is still a head, and the same one
    open_head(packed.model_copy(update={"kind": "heads"}), made.features)


def test_calib_and_storage_name_a_checkpoint_alike(made: Made) -> None:
    assert folder_digest(local_folder(made.router)) == made.router.sha256
