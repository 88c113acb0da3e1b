"""Cells of decisions: no grade of a test row reaches a rule; what is stored is scored on the rows it is of."""

import numpy as np
import pytest

from routecal.calib.trial import decisions
from routecal.calib.trial.decision_rows import Answer, DecisionRows
from routecal.calib.trial.decision_scores import DecisionScore, Sample, score_rule
from routecal.calib.trial.decisions import JOINT, MEDIUM_WRONG, RULES, decide
from routecal.storage.artifact import Artifact, read_metadata, read_table
from routecal.tasks.benchmark import decision_results
from routecal.tasks.benchmark.decision_cells import fit_decisions
from routecal.tasks.benchmark.decision_results import ORACLE, read_decisions_scored, score_decisions
from routecal.tasks.benchmark.features import load_features
from routecal.tasks.load_examples import outcome_block_names
from tests.tasks.benchmark.conftest import Small
from tests.tasks.benchmark.made import permuted

FEW = ("ridge of the gain", MEDIUM_WRONG, "neighbours", "entropy")


@pytest.fixture(autouse=True)
def few_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules of every kind that take no seconds."""
    monkeypatch.setattr(decisions, "RULES", {rule: RULES[rule] for rule in FEW})


def cell(small: Small, rows: Artifact, *, seed: int = 0, division: int = 0) -> Artifact:
    return fit_decisions.fn(small.sets[0].name, "regularised", division, seed, 1000, rows, small.features, small.router)


def needs(artifact: Artifact) -> dict[tuple[str, str, str], float]:
    table = read_table(artifact)
    keys = zip(*(table[name].to_pylist() for name in ("part", "rule", "query_id")), strict=True)
    return dict(zip(keys, table["need"].to_pylist(), strict=True))


@pytest.mark.parametrize("rules", [FEW, (JOINT, "confidence", "boosting")])
def test_no_grade_of_a_test_row_changes_what_a_rule_says(
    small: Small, rules: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "RULES", {rule: RULES[rule] for rule in rules})
    rows = small.sets[0].rows
    as_is, dealt_anew = (cell(small, one) for one in (rows, permuted(rows, "test")))
    assert needs(as_is) == needs(dealt_anew)
    assert read_table(as_is)["is_correct"].to_pylist() != read_table(dealt_anew)["is_correct"].to_pylist()


def test_grades_of_labelled_rows_do(small: Small) -> None:
    rows = small.sets[0].rows
    as_is, dealt_anew = (needs(cell(small, one)) for one in (rows, permuted(rows, "labelled")))
    changed = {key[1] for key in as_is if as_is[key] != dealt_anew[key]}
    assert changed == set(FEW) - {"entropy"}


def test_what_is_decided_carries_no_true_policy(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[DecisionRows] = []
    monkeypatch.setattr(decisions, "decide", lambda rows, group, *, seed: seen.append(rows) or decide(rows, seed=seed))
    correct = read_table(cell(small, small.sets[0].rows))["is_correct"].to_pylist()
    assert set(seen[0].test.true_policy.tolist()) == {0}
    assert 0 < sum(correct) < len(correct)


def test_a_cell_holds_its_labelled_and_test_rows_and_no_other(small: Small) -> None:
    rows = read_table(small.sets[0].rows)
    part = dict(zip(rows["query_id"].to_pylist(), rows["part"].to_pylist(), strict=True))
    found = cell(small, small.sets[0].rows)
    said = {key for key in needs(found) if key[1] == FEW[0]}
    assert {(own, query) for own, _, query in said} == {(own, q) for q, own in part.items() if own != "router"}
    assert read_metadata(found)["labels"] == str(sum(own == "labelled" for own in part.values()))


def test_a_score_is_of_the_outcomes_of_the_rows_that_were_told(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Sample] = []

    def spied(answers: list[Answer], samples: list[Sample], *rest: object, **how: int) -> DecisionScore:
        seen.extend(samples)
        return score_rule(answers, samples, *rest, **how)

    monkeypatch.setattr(decision_results, "score_rule", spied)
    one = small.sets[0]
    stored = score_decisions.fn(
        one.name, "regularised", [cell(small, one.rows, seed=s) for s in (1, 0)], [one.rows], one.name, [[one.rows]]
    )
    found = read_decisions_scored(stored)
    table = read_table(one.rows).sort_by("query_id")
    test = [row for row in table.to_pylist() if row["part"] == "test"]
    large = [float(row["large_grade"] == "CORRECT") for row in test]
    assert seen[0].test.large_right.tolist() == large
    assert set(seen[0].test.large_cost.tolist()) == {20.0}
    assert (found.n, found.asked, found.divisions, found.priced) == (len(test), 1000, 1, False)
    assert list(found.rules) == [*FEW, ORACLE]
    assert found.rules[ORACLE].seeds[0].area == 1
    assert len(found.rules[FEW[0]].seeds) == 2
    # the order of the made sets is in their words, which the states hold
    assert found.rules["ridge of the gain"].seeds[0].area > 0


def test_rules_read_the_block_that_the_features_name_for_it(small: Small) -> None:
    assert set(outcome_block_names(small.features)) <= load_features(small.features).blocks.keys()
    assert np.isfinite(list(needs(cell(small, small.sets[0].rows)).values())).any()
