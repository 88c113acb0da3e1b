"""Escalation as a step: costs as recorded, as given, or not at all; thresholds that test rows have no say in."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from routecal.calib import escalation
from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.escalation import Outcomes
from routecal.calib.examples import LABELLED
from routecal.calib.learn.cross_fit import CrossFitPlan
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.metrics import Estimate
from routecal.calib.policy import POLICIES
from routecal.calib.serving_rule import ServingRule
from routecal.calib.settings import EscalationTerms, Reading
from routecal.folder_digest import folder_digest
from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.folder_artifact import local_folder
from routecal.storage.layout import Home
from routecal.tasks.escalate import CALLS, Escalation, escalate
from routecal.tasks.evaluate import FINAL, predict
from routecal.tasks.evaluation_verdict import sentence
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
) -> Escalation:
    return escalate.fn(predictions, examples, methods, LABELLED, terms)


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


def test_the_numbers_are_those_of_calib(examples: Artifact, predictions: Artifact) -> None:
    found = measured(predictions, examples)
    rows = read_table(examples).to_pylist()
    said = {r["query_id"]: r["p"] for r in read_table(predictions).to_pylist() if r["method"] == FINAL}

    def part(*splits: str) -> tuple[Outcomes, list[int], list[float]]:
        kept = [r for r in rows if r["split"] in splits]
        grades = ([r["medium_grade"] for r in kept], [r["large_grade"] for r in kept])
        policy = [[p.value for p in POLICIES].index(r["router_policy"]) for r in kept]
        return Outcomes.of(*grades, medium_cost=1, large_cost=20), policy, [said[r["query_id"]] for r in kept]

    chosen_on, test = part(*LABELLED), part("test")
    threshold = escalation.choose_threshold(*chosen_on, margin=0.01, confidence=0.5)
    assert found.methods[FINAL] == escalation.saving_at(*test, threshold=threshold, margin=0.01)
    assert list(found.methods) == list(found.curves) == ["entropy", FINAL]
    assert (found.unit, found.note, found.n_chosen_on) == ("relative", "", len(chosen_on[2]))
    whole = escalation.curve(*test)
    ends = found.curves[FINAL][0], found.curves[FINAL][-1]
    assert [(point.cost, point.quality) for point in ends] == [
        (pytest.approx(whole.cost[i]), pytest.approx(whole.quality[i])) for i in (0, -1)
    ]
    assert found.policies["router alone"] == (ends[0].cost, ends[0].quality)
    assert found.policies["all-large"] == pytest.approx((ends[1].cost, ends[1].quality))
    assert found.policies["perfect oracle"] == pytest.approx(found.oracle[-1])
    assert len(found.band) == len(found.curves[FINAL]) <= 101
    assert all(low <= point.quality <= high for (low, high), point in zip(found.band, found.curves[FINAL], strict=True))
    assert Escalation.model_validate_json(found.model_dump_json()) == found


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
    point = found.methods[FINAL].point
    assert point.cost == pytest.approx(point.large)
    assert found.policies["all-medium"][0] == 0
    # prices have no say in the threshold
    assert point.threshold == measured(predictions, examples).methods[FINAL].point.threshold


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
    saving = found.methods[FINAL]
    d = saving.quality_difference

    def said(low: float, high: float, non_inferior: bool) -> str:
        other = d.model_copy(update={"low": low, "high": high})
        claim = saving.model_copy(update={"quality_difference": other, "non_inferior": non_inferior})
        return sentence(found.model_copy(update={"methods": {FINAL: claim}}))

    assert "no worse than all-large within 20 points: shown" in said(-0.1, 0.02, True)
    assert "worse than all-large by more than 20 points" in said(-0.5, -0.3, False)
    assert f"neither shown nor ruled out on {saving.n} queries" in said(-0.3, 0.02, False)
    line = sentence(found)
    assert f"{saving.saving.value:.1%}"[:-1] in line
    assert f"below {saving.point.threshold:.3f} (chosen on {found.n_chosen_on} labelled" in line
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
    saving = found.methods[FINAL].model_copy(update={"saving": Estimate(value=value, low=low, high=0.05)})
    line = sentence(found.model_copy(update={"methods": {FINAL: saving}}))
    assert line.startswith(begins)
    assert ("which may be nothing," in line) == hedged


def test_what_is_packed_routes_as_was_measured(made: Made, head: Artifact, predictions: Artifact) -> None:
    threshold = measured(predictions, made.examples).methods[FINAL].point.threshold
    packed = pack_router.fn(head, made.router, Reading(), ServingRule(threshold=threshold, threshold_from="somewhere"))
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
    assert {(d.threshold, d.head_version) for d in decisions} == {(threshold, head.sha256[:16])}
    assert router.serving.threshold_from == "somewhere"
    # a packed head is still a head, and the same one
    open_head(packed.model_copy(update={"kind": "heads"}), made.features)


def test_calib_and_storage_name_a_checkpoint_alike(made: Made) -> None:
    assert folder_digest(local_folder(made.router)) == made.router.sha256
