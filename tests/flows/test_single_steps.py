"""Steps one at a time on a real Prefect: they reach what `calibrate` reaches, from the same artifacts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routecal.calib.policy import POLICIES
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.flows.calibrate import calibrate
from routecal.flows.evaluate import evaluate
from routecal.flows.extract import extract
from routecal.flows.label import label
from routecal.flows.oracle_params import LabelParams
from routecal.flows.params import (
    CalibrateParams,
    EvaluateParams,
    ExtractParams,
    TrainParams,
    TrainRouterParams,
)
from routecal.flows.train import train, train_router_flow
from routecal.folder_digest import folder_digest
from routecal.storage.artifact import read_table
from routecal.storage.layout import Home
from routecal.storage.manifest import latest_manifest
from routecal.tasks import runs
from routecal.tasks.errors import OptionMissing
from routecal.tasks.evaluate import FINAL
from routecal.tasks.export import export
from routecal.tasks.stats import stats
from tests.flows.conftest import States, of
from tests.tasks.made import outcome_rows, write_jsonl


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

    tables = {table.title: table for table in stats()}
    assert sum(row["n"] for row in tables[f"Grades, medium x large (run {by_name.run_id})"].rows) == 300
    assert f"Reliability of «{FINAL}», test split (run {by_name.run_id})" in tables
    out = tmp_path / "out.jsonl"
    n_test = whole.evaluation.methods[FINAL].n
    assert export(output_file=str(out)) == (by_name.run_id, str(out), 300 - n_test, n_test)


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
    export(output_file=str(tmp_path / "d.jsonl"), held_out=True)
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
