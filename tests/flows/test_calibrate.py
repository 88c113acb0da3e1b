"""`calibrate` on a real Prefect: what it makes, what it does not do twice, and what survives a failure."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.policy import OracleMatrix
from routecal.flows.calibrate import calibrate
from routecal.flows.evaluate import Evaluated
from routecal.flows.label import label
from routecal.flows.oracle_params import LabelParams
from routecal.flows.params import (
    CalibrateParams,
)
from routecal.folder_digest import folder_digest
from routecal.storage.artifact import read_table
from routecal.tasks import runs
from routecal.tasks.escalation_result import CALLS, JOINT, serving_rule
from routecal.tasks.evaluate import FINAL
from routecal.tasks.oracle import ORACLES
from tests.flows.conftest import States, of
from tests.tasks.made import write_jsonl

SHARDS = 3


def test_calibrate_from_files_to_report(params: CalibrateParams, states: States, policies: list[str]) -> None:
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
    escalation = first.evaluation.escalation
    assert escalation is not None
    assert escalation.unit == CALLS  # these outcomes have no costs
    assert escalation.rule == JOINT
    assert metrics["escalation"]["methods"][JOINT] == escalation.methods[JOINT].model_dump(mode="json")
    assert first.calibrated is not None
    router = CalibratedRouter.from_pretrained(first.calibrated.uri)
    decided = router.route(labelled["query_id"].to_pylist()[:3])
    assert {d.threshold for d in decided} == {serving_rule(escalation, params.terms, "").threshold}
    assert {d.head_version for d in decided} == {first.head.sha256[:16]}

    # the same again: nothing but the report is made
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
    replay, calls = ORACLES["replay"], []

    def fails_on_the_second(queries: pa.Table, oracle: Any, matrix: OracleMatrix) -> pa.Table:
        calls.append(queries["query"][0].as_py())
        if asked[100] in queries["query"].to_pylist():
            raise ConnectionError("the second shard fails")
        return replay.label(queries, oracle, matrix)

    monkeypatch.setitem(ORACLES, "replay", replace(replay, label=fails_on_the_second))
    with pytest.raises(ConnectionError, match="the second shard fails"):
        calibrate(params)
    assert calls == [asked[0], asked[100]]
    assert of(states, "Completed") == {"check router": 1, "label": 1}
    calls.clear()
    states.clear()

    def counted(queries: pa.Table, oracle: Any, matrix: OracleMatrix) -> pa.Table:
        calls.append(queries["query"][0].as_py())
        return replay.label(queries, oracle, matrix)

    monkeypatch.setitem(ORACLES, "replay", replace(replay, label=counted))
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
