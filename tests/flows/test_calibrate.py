"""The flows on a real Prefect: what they make, what they do not do twice, and what survives a failure."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.policy import POLICIES, OracleMatrix
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.flows.calibrate import calibrate
from routecal.flows.evaluate import Evaluated, evaluate
from routecal.flows.extract import extract
from routecal.flows.label import label
from routecal.flows.oracle_params import LabelParams
from routecal.flows.params import (
    CalibrateParams,
    EvaluateParams,
    ExportParams,
    ExtractParams,
    StatsParams,
    TrainParams,
    TrainRouterParams,
)
from routecal.flows.reports import export, stats
from routecal.flows.train import train
from routecal.flows.train_router import train_router_flow
from routecal.folder_digest import folder_digest
from routecal.storage.artifact import read_table
from routecal.storage.layout import Home
from routecal.storage.manifest import latest_manifest
from routecal.tasks import runs
from routecal.tasks.errors import OptionMissing
from routecal.tasks.escalate import CALLS
from routecal.tasks.evaluate import FINAL
from routecal.tasks.oracle import ORACLES
from tests.tasks.made import outcome_rows, write_jsonl

States = list[tuple[str, str]]
SHARDS = 3


@pytest.fixture
def params(queries_file: str, outcomes_file: str, router_checkpoint: Path) -> CalibrateParams:
    return CalibrateParams(
        queries=queries_file,
        outcomes=outcomes_file,
        router_path=str(router_checkpoint),
        shard_size=100,
        epochs=2,
        hidden_units=8,
    )


def of(states: States, state: str) -> Counter[str]:
    """How many runs of each task ended so."""
    return Counter(task for task, found in states if found == state)


def test_calibrate_from_files_to_report(
    params: CalibrateParams, states: States, policies: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = calibrate(params)
    assert isinstance(first, Evaluated)
    assert set(of(states, "Completed").elements()) == {task for task, _ in states}
    assert of(states, "Completed")["label"] == of(states, "Completed")["extract"] == SHARDS
    methods = first.evaluation.methods
    assert list(methods)[-4:] == ["SFT", "SFT + recalibration", "SFT + RL", FINAL]
    assert methods["constant"].n == methods[FINAL].n > 60
    assert 0.2 < methods[FINAL].accuracy < 0.8
    report = Path(first.report)
    assert report.is_file()
    metrics = json.loads((report.parent / "metrics.json").read_text())
    assert metrics["run_id"] == first.run_id
    assert metrics["facts"]["Medium model"] == "mid-7b (recorded outcomes)"
    assert "300 labelled, 300 with features" in metrics["facts"]["Queries"]
    assert folder_digest(Path(first.head.uri)) == first.head.sha256
    labelled = read_table(runs.newest_artifact("labels"))
    assert labelled["true_policy"].to_pylist() == policies

    # it ends with what escalating saves, and with a router that does it
    assert first.evaluation.escalation is not None
    assert first.evaluation.escalation.unit == CALLS  # these outcomes have no costs
    assert metrics["escalation"]["methods"][FINAL] == first.evaluation.escalation.methods[FINAL].model_dump()
    assert first.calibrated is not None
    router = CalibratedRouter.from_pretrained(first.calibrated.uri)
    decided = router.route(labelled["query_id"].to_pylist()[:3])
    assert {d.threshold for d in decided} == {first.evaluation.escalation.methods[FINAL].point.threshold}
    assert {d.head_version for d in decided} == {first.head.sha256[:16]}

    # the same again: nothing but the report is made, whose figures were seen
    monkeypatch.setattr("routecal.tasks.report._figures", lambda *_: {"reliability": b"", "selective": b""})
    states.clear()
    again = calibrate(params)
    assert of(states, "Completed") == {"report": 1, "publish": 1}
    assert of(states, "Cached")["label"] == of(states, "Cached")["extract"] == SHARDS
    assert of(states, "Cached")["SFT"] == of(states, "Cached")["RL"] == 1
    assert again.run_id != first.run_id
    assert (again.head, again.evaluation) == (first.head, first.evaluation)

    # other outcomes: other labels and whatever learns from them, but the router is not asked again
    rows = [json.loads(line) for line in Path(params.outcomes or "").read_text().splitlines()]
    rows[0]["medium_label"] = rows[0]["large_label"] = "CORRECT" if policies[0] != "Standard_Query" else "INCORRECT"
    write_jsonl(Path(params.outcomes or ""), rows)
    states.clear()
    changed = calibrate(params)
    assert of(states, "Cached") == {"check router": 1, "extract": SHARDS}
    assert of(states, "Completed")["label"] == SHARDS
    assert of(states, "Completed")["SFT"] == 1
    assert changed.head != first.head


@pytest.mark.usefixtures("plain_report")
def test_finished_shards_outlive_a_failed_one(
    params: CalibrateParams, states: States, monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    real, calls = ORACLES["replay"], []

    def fails_on_the_second(queries: pa.Table, oracle: Any, matrix: OracleMatrix) -> pa.Table:
        calls.append(queries["query"][0].as_py())
        if asked[100] in queries["query"].to_pylist():
            raise ConnectionError("the second shard fails")
        return real(queries, oracle, matrix)

    monkeypatch.setitem(ORACLES, "replay", fails_on_the_second)
    with pytest.raises(ConnectionError, match="the second shard fails"):
        calibrate(params)
    assert calls == [asked[0], asked[100]]
    assert of(states, "Completed") == {"check router": 1, "label": 1}
    calls.clear()
    states.clear()

    def counted(queries: pa.Table, oracle: Any, matrix: OracleMatrix) -> pa.Table:
        calls.append(queries["query"][0].as_py())
        return real(queries, oracle, matrix)

    monkeypatch.setitem(ORACLES, "replay", counted)
    result = calibrate(params)
    assert calls == [asked[100], asked[200]]
    assert of(states, "Cached") == {"check router": 1, "label": 1}
    assert result.evaluation.methods[FINAL].n > 60


def test_rows_added_at_the_end_leave_finished_shards_alone(
    queries_file: str, outcomes_file: str, states: States
) -> None:
    params, path = LabelParams(queries=queries_file, outcomes=outcomes_file, shard_size=100), Path(queries_file)
    everything = path.read_text()
    path.write_text("".join(everything.splitlines(keepends=True)[:250]))
    assert label(params).rows == 250
    states.clear()
    path.write_text(everything)
    assert label(params).rows == 300
    assert of(states, "Cached") == {"label": 2}
    assert of(states, "Completed") == {"label": 1}


@pytest.mark.usefixtures("plain_report")
def test_each_step_alone_reaches_what_calibrate_reaches(
    params: CalibrateParams, states: States, tmp_path: Path
) -> None:
    shared = params.model_dump()

    def some(model: Any, **more: Any) -> Any:
        return model(**{k: v for k, v in shared.items() if k in model.model_fields and k != "queries"} | more)

    whole = calibrate(params)
    states.clear()
    label(some(LabelParams, queries=params.queries))
    extract(some(ExtractParams, queries=params.queries))
    head = train(some(TrainParams, router_path=None, output_dir=str(tmp_path / "head")))
    found = evaluate(EvaluateParams())
    # the same inputs in the same shards: all of it is known
    assert of(states, "Completed") == {"report": 1, "publish": 1}
    assert head == whole.head
    assert found.evaluation == whole.evaluation
    assert folder_digest(tmp_path / "head") == head.sha256

    by_name = evaluate(EvaluateParams(head=str(tmp_path / "head")))
    assert by_name.evaluation.methods[FINAL] == whole.evaluation.methods[FINAL]
    assert list(by_name.evaluation.methods)[-1] == FINAL

    tables = {table.title: table for table in stats(StatsParams())}
    assert sum(row["n"] for row in tables[f"Grades, medium x large (run {by_name.run_id})"].rows) == 300
    assert f"Reliability of «{FINAL}», test split (run {by_name.run_id})" in tables
    out = tmp_path / "out.jsonl"
    n_test = whole.evaluation.methods[FINAL].n
    assert export(ExportParams(output_file=str(out))) == (by_name.run_id, str(out), 300 - n_test, n_test)


def test_one_stage_at_a_time(params: CalibrateParams, states: States, tmp_path: Path) -> None:
    label(LabelParams(queries=params.queries, outcomes=params.outcomes))
    extract(ExtractParams(queries=params.queries, router_path=params.router_path))
    with pytest.raises(OptionMissing, match="no SFT: run `routecal train` first"):
        train(TrainParams(mode="rl"))
    warm = train(TrainParams(mode="sft", epochs=2, hidden_units=8))
    tuned = train(TrainParams(mode="rl", epochs=2))
    assert tuned != warm
    # a second RL run starts from the SFT head as well, though the newest run made none
    assert train(TrainParams(mode="rl", epochs=2)) == tuned
    assert train(TrainParams(mode="rl", epochs=2, init_checkpoint=warm.uri)) == tuned
    other = train(TrainParams(mode="rl", epochs=2, preset="as-written"))
    assert other not in (tuned, warm)


@pytest.mark.usefixtures("plain_report")
def test_a_data_file_instead_of_labels(params: CalibrateParams, states: States, tmp_path: Path) -> None:
    whole = calibrate(params)
    export(ExportParams(output_file=str(tmp_path / "d.jsonl"), held_out=True))
    with pytest.raises(OptionMissing, match="--router-path"):
        train(TrainParams(data_file=str(tmp_path / "d.jsonl")))
    given = TrainParams(data_file=str(tmp_path / "d.jsonl"), router_path=params.router_path, epochs=2, hidden_units=8)
    train(given)
    found = evaluate(EvaluateParams())
    # it says which policy is right, but not which answers were
    assert found.evaluation.escalation is not None
    assert "no grade" in found.evaluation.escalation.note
    # in another order the queries are batched otherwise, which changes the last bits of the features
    for name, summary in found.evaluation.methods.items():
        assert summary.n == whole.evaluation.methods[name].n
        assert summary.brier.value == pytest.approx(whole.evaluation.methods[name].brier.value, abs=0.01)


@pytest.mark.usefixtures("plain_report")
def test_evaluate_takes_the_features_that_the_head_was_trained_on(
    params: CalibrateParams, states: States, tmp_path: Path
) -> None:
    whole = calibrate(params)
    later = write_jsonl(tmp_path / "later.jsonl", [{"query": f"Something else no {i}?"} for i in range(5)])
    extract(ExtractParams(queries=later, router_path=params.router_path))
    assert evaluate(EvaluateParams()).evaluation == whole.evaluation


@pytest.mark.usefixtures("plain_report")
def test_a_router_is_made_and_its_queries_are_kept_from_the_head(
    asked: list[str], causal_checkpoint: Path, tmp_path: Path, states: States
) -> None:
    # decided by what the text says, but for a random fifth
    noise = np.random.default_rng(0).random(len(asked)) < 0.2
    policies = [POLICIES[(0 if "odd" in text else 1) + flip].value for text, flip in zip(asked, noise, strict=True)]
    everything = write_jsonl(tmp_path / "all.jsonl", outcome_rows(asked, policies))
    third = write_jsonl(tmp_path / "third.jsonl", outcome_rows(asked[:100], policies[:100]))
    router = train_router_flow(
        TrainRouterParams(queries=third, base_model=str(causal_checkpoint), output_dir=str(tmp_path / "router"))
    )
    assert folder_digest(tmp_path / "router") == router.sha256
    # what trained a router is not offered to a head
    assert latest_manifest(Home.from_env(), "labels") is None
    result = calibrate(
        CalibrateParams(queries=everything, router_path=str(tmp_path / "router"), epochs=2, hidden_units=8)
    )
    examples = read_table(runs.newest_artifact("examples"))
    assert not set(examples["query"].to_pylist()) & set(asked[:100])
    assert examples.num_rows == 200
    routed = [POLICIES[i].value for i in FrozenRouter(tmp_path / "router").read(examples["query"].to_pylist()).policy]
    assert examples["router_policy"].to_pylist() == routed
    assert result.evaluation.methods[FINAL].accuracy > 0.5
