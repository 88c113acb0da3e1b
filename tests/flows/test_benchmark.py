"""`benchmark` and `ablate` on a real Prefect and a tiny real model: what they leave, and what they do not do twice."""

import json
from collections import Counter
from pathlib import Path

import pytest

from routecal.calib.trial import ablation
from routecal.calib.trial.ablation import REFERENCE
from routecal.calib.trial.decisions import BOOSTING, CONFIDENCE, JOINT, MEDIUM_WRONG, REGRESSION, RULES
from routecal.calib.trial.methods import AS_WRITTEN, DEFAULT, METHODS
from routecal.flows.benchmark import ablate, benchmark
from routecal.flows.trial_params import AblateParams, BenchmarkParams
from routecal.storage.artifact import read_table
from routecal.tasks.benchmark.decision_results import ORACLE
from tests.tasks.benchmark.made import questions, write_outcomes

States = list[tuple[str, str]]
# Whom bars compare.
HELD = (JOINT, CONFIDENCE, MEDIUM_WRONG, BOOSTING)
FEW = {name: ablation.VARIANTS[name] for name in (REFERENCE, "SFT twice", "recalibration off")}


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Three outcomes files, two of which share their questions."""
    folder = tmp_path / "data"
    folder.mkdir()
    asked = questions(330, about="home")
    write_outcomes(folder / "first.jsonl", asked, seed=1)
    write_outcomes(folder / "cued.jsonl", [f"{text}\nAnswer:" for text in asked], seed=2)
    write_outcomes(folder / "other.jsonl", questions(300, about="work"), seed=3)
    return str(folder)


def of(states: States, state: str) -> Counter[str]:
    """How many runs of each task ended so."""
    return Counter(task for task, found in states if found == state)


def test_benchmark_compares_extracts_once_and_resumes(
    data: str, causal_checkpoint: Path, states: States, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("routecal.calib.trial.learned_rules.MOST_TREES", 5)
    monkeypatch.setattr("routecal.calib.trial.learned_rules.STRENGTHS", (1e-2,))
    monkeypatch.setattr("routecal.calib.trial.decisions.RULES", few := {rule: RULES[rule] for rule in HELD})
    params = BenchmarkParams(
        data=data,
        base_model=str(causal_checkpoint),
        layers=[-1],
        poolings=["last"],
        divisions=2,
        seeds=1,
        labels=60,
        curve=[70],
        routers=["overconfident"],
        output_dir=str(tmp_path),
    )
    found = benchmark(params)
    # two shards of each different question, however many files ask it
    assert of(states, "Completed")["extract"] == 4
    assert of(states, "Completed")["fit router"] == 3 * 2
    assert of(states, "Completed")["fit methods"] == 3 * 2 * len(METHODS)
    # each set on its own rows, and on those of a set of another family: never first on cued
    assert of(states, "Completed")["score"] == 3 + 4
    # every division at both numbers of labels
    assert of(states, "Completed")["fit decisions"] == 3 * 2 * 2
    assert of(states, "Completed")["score decisions"] == 3 * 2
    numbers = json.loads((Path(found.report) / "numbers.json").read_text())
    assert {(t["name"], t["target"]) for t in numbers["shifted"]} == {
        ("other", "first"),
        ("other", "cued"),
        ("first", "other"),
        ("cued", "other"),
    }
    assert {"constant", "temperature", "probe", AS_WRITTEN, DEFAULT} <= {r["method"] for r in numbers["ranks"]}
    assert (tmp_path / "page.md").read_text() == found.page
    decisions = numbers["decisions"]
    assert [(t["name"], t["asked"]) for t in decisions if t["name"] is None] == [(None, 60), (None, 70)]
    assert {line["rule"] for line in decisions[0]["lines"]} == {*few, ORACLE}
    assert len(numbers["bars"]) >= 10
    assert "What a label buys" in found.page
    scores = read_table(found.artifacts["scores"]).to_pylist()
    assert {row["division"] for row in scores if row["metric"] == "area"} == {None, 0, 1}
    assert {row["division"] for row in scores if row["set"] != row["target"]} == {None, 0}
    predictions = read_table(found.artifacts["predictions"])
    assert set(predictions["set"].to_pylist()) == {"first", "cued", "other"}
    assert set(predictions["division"].to_pylist()) == {0, 1}
    states.clear()
    assert benchmark(params).artifacts == found.artifacts
    assert not of(states, "Completed")


def test_ablate_leaves_tables_for_people_and_for_a_paper(
    data: str, causal_checkpoint: Path, states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ablation, "VARIANTS", FEW)
    monkeypatch.setattr("routecal.tasks.benchmark.ablation_tables.VARIANTS", FEW)
    params = AblateParams(
        data=data,
        sets=["other"],
        base_model=str(causal_checkpoint),
        layers=[-1],
        poolings=["last"],
        divisions=1,
        seeds=2,
        routers=["regularised"],
        block="chosen",
    )
    found = ablate(params)
    assert of(states, "Completed")["choose block"] == 2
    assert of(states, "Completed")["fit methods"] == 2
    folder = Path(found.report)
    assert {f.name for f in folder.iterdir()} == {"page.md", "numbers.json", "ablation.tex", "forest.png", "forest.pdf"}
    assert "SFT twice" in found.page
    differences = read_table(found.artifacts["differences"]).to_pylist()
    assert {row["reference"] for row in differences} == {REFERENCE, REGRESSION}
    assert "| utility |" in found.page.partition("## Outcome head")[2]
    states.clear()
    ablate(params)
    assert set(of(states, "Completed")) == set()
    assert of(states, "Cached")["fit methods"] == 2
