"""What the rules of a night are told of stored heads and rows."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pytest

from routecal.calib.examples import LABELLED
from routecal.calib.learn.cross_fit import CrossFitPlan, Deal, unseen
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.night import candidate
from routecal.calib.night.candidate import Contender
from routecal.calib.night.promotion_gate import Condition, GateRules
from routecal.calib.night.served_quality import not_compared, served_quality
from routecal.calib.policy import Policy
from routecal.calib.serving_rule import ServingRule
from routecal.calib.settings import EscalationTerms, Reading
from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.layout import Home
from routecal.tasks.load_examples import load_examples
from routecal.tasks.night import head_comparison
from routecal.tasks.night.head_comparison import choose_candidate, classes, judge
from routecal.tasks.night.health_check import decisions
from routecal.tasks.night.label_history import NightRows
from routecal.tasks.outcome import train_outcome_head
from routecal.tasks.pack import pack_router
from routecal.tasks.priced_outcomes import priced_outcomes
from routecal.tasks.train import open_head, recalibrate_head, train_sft
from tests.tasks.made import Made

RATE = EscalationTerms(call_rate=0.5, medium_price=1, large_price=9)
SFT = SFTConfig(epochs=3, lr=1e-2, early_stopping=False)


def rows(made: Made) -> NightRows:
    return NightRows(examples=made.examples, features=made.features, labels=made.labels)


def newest(made: Made, n: int) -> NightRows:
    """The last n of its rows, as if they were tonight's."""
    table = read_table(made.examples)
    examples = write_table(table.slice(table.num_rows - n), "examples", home=Home.from_env())
    return rows(made).model_copy(update={"examples": examples})


def head(made: Made, *, folds: int | None = None) -> Artifact:
    warm = train_sft.fn(made.examples, made.features, CrossFitPlan(hidden_units=4, folds=folds), SFT)
    return recalibrate_head.fn(made.examples, made.features, warm)


def compared(
    made: Made, tonight: NightRows, folds: tuple[int | None, ...], patch: pytest.MonkeyPatch
) -> dict[str, Contender]:
    """What the choice is made from."""
    seen: dict[str, Contender] = {}

    def choose(contenders: Mapping[str, Contender]) -> str:
        seen.update(contenders)
        return "0"

    patch.setattr(candidate, "choose_candidate", choose)
    heads = {str(i): head(made, folds=n) for i, n in enumerate(folds)}
    choose_candidate.fn(tonight, heads, dict.fromkeys(heads, rows(made)))
    return seen


def test_heads_are_compared_on_tonight_s_labelled_rows_by_members_that_they_did_not_teach(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    tonight = newest(made, 80)
    found = compared(made, tonight, (None,), monkeypatch)["0"]
    data = load_examples(made.examples, made.features)
    is_labelled = np.isin(data.split, LABELLED)
    opened = open_head(head(made), made.features)
    assert np.array_equal(found.p, unseen(opened.head, data.where(is_labelled)))
    assert np.array_equal(found.p, Deal.of(data.where(is_labelled)).held_out(opened.head)[0])
    assert np.array_equal(found.y, data.y[is_labelled])
    assert np.array_equal(found.is_judged, (np.arange(200) >= 120)[is_labelled])
    assert found.recalibrator == opened.recalibrator


def test_where_one_head_has_no_folds_no_row_that_taught_it_compares_them(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_examples(made.examples, made.features)
    for found in compared(made, rows(made), (None, 0), monkeypatch).values():
        assert len(found.p) == np.isin(data.split, ("calibration", "validation")).sum()
        assert found.is_judged.all()


def test_rows_of_both_classes_are_counted(made: Made) -> None:
    data = load_examples(made.examples, made.features)
    assert classes(rows(made)) == (data.y.sum(), (1 - data.y).sum())


def test_the_gate_is_asked_with_slices_reasons_to_renew_and_what_both_heads_decide(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_comparison, "served", lambda escalated, wrong: (escalated.tolist(), wrong.tolist()))
    seen: list[tuple[object, ...]] = []
    monkeypatch.setattr(head_comparison, "decide", lambda *facts, **more: seen.append((facts, more)))
    reading, rules = Reading(), GateRules(min_slice=30)
    plain = head(made, folds=0)
    heads = [
        pack_router.fn(h, made.router, reading, ServingRule(threshold=t)) for h, t in ((head(made), 0.25), (plain, 0.5))
    ]
    judge.fn(heads[0], heads[1], rows(made), ("it is old",), (RATE, RATE), rules, 7)
    ((p, other, y), more) = seen[0]
    data = load_examples(made.examples, made.features)
    for said, packed in zip((p, other), heads, strict=True):
        assert np.array_equal(said, open_head(packed, made.features).confidence(data.hidden, data.logits))
    assert np.array_equal(y, data.y)
    assert more["renewal"] == ("it is old",)
    wrong = (y == 0).tolist()
    assert more["decisions"] == (((p < 0.25).tolist(), wrong), ((other < 0.5).tolist(), wrong))
    assert (more["rules"], more["seed"]) == (rules, 7)
    assert more["quality"] == not_compared("no outcome head decides for the candidate or the champion")
    policies = {row: n for row, n in zip(*np.unique(data.policy, return_counts=True), strict=True) if 30 <= n < 200}
    assert sorted(mask.sum() for mask in more["slices"].values()) == sorted(policies.values())

    judge.fn(heads[0], None, rows(made), (), (RATE, None), rules, 7)
    ((p, other, y), more) = seen[1]
    assert other is None
    assert set(more) == {"rules", "seed"}


def test_what_both_serve_is_compared_where_gains_decide_and_grades_and_terms_are_known(made: Made) -> None:
    own, outcome_head = head(made), train_outcome_head.fn(made.examples, made.features)
    rules = {t: ServingRule(decides_by="gain", threshold=t) for t in (-1.0, 0.0, 1.0)}
    packed = {t: pack_router.fn(own, made.router, Reading(), rule, outcome_head) for t, rule in rules.items()}
    table = read_table(made.examples)
    outcomes = priced_outcomes(table, RATE).outcomes
    needs_large = np.array(table["true_policy"].to_pylist()) == Policy.COMPLEX.value

    def found(
        new: Artifact,
        champion: Artifact,
        window: NightRows,
        before: EscalationTerms | None,
        now: EscalationTerms = RATE,
    ) -> Condition:
        return judge.fn(new, champion, window, (), (now, before), GateRules(level=0.9), 7).conditions[-1]

    for new, champion in ((0.0, -1.0), (1.0, -1.0), (-1.0, 1.0)):
        sides = [decisions(packed[t], rows(made)).escalated for t in (new, champion)]
        said = found(packed[new], packed[champion], rows(made), RATE)
        assert said == served_quality(*sides, outcomes, needs_large, RATE, RATE, level=0.9)
    assert not found(packed[1.0], packed[-1.0], rows(made), RATE).is_met  # all-medium after all-large, unasked
    assert found(packed[1.0], packed[-1.0], rows(made), RATE.model_copy(update={"call_rate": 0.6})).is_met

    loose, strict = (RATE.model_copy(update={"call_rate": None, "at_most": level}) for level in (0.02, 0.01))
    assert found(packed[1.0], packed[-1.0], rows(made), strict, now=loose).is_met
    assert not found(packed[1.0], packed[-1.0], rows(made), loose, now=strict).is_met

    plain = pack_router.fn(own, made.router, Reading(), ServingRule(threshold=0.5))
    assert found(packed[0.0], plain, rows(made), RATE) == not_compared("no outcome head decides for the champion")
    unknown = not_compared("the terms of the champion's threshold are not known")
    assert found(packed[0.0], packed[1.0], rows(made), None) == unknown
    blank = table.set_column(table.column_names.index("large_grade"), "large_grade", pa.nulls(200, pa.string()))
    ungraded = rows(made).model_copy(update={"examples": write_table(blank, "examples", home=Home.from_env())})
    assert "grade" in found(packed[1.0], packed[-1.0], ungraded, RATE).reason
    assert found(packed[1.0], packed[-1.0], ungraded, RATE).is_met
