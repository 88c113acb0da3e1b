"""What runs on workers is what runs in one process, to the last bit; what dies takes nothing with it."""

import os
from pathlib import Path
from typing import Any

import pytest
from prefect import flow

from routecal.calib.settings import Reading
from routecal.flows.engines import on_engine
from routecal.flows.errors import ClusterUnusable, WorkersLost
from routecal.flows.extract import extract
from routecal.flows.label import label
from routecal.flows.oracle_params import LabelParams
from routecal.flows.params import ExtractParams
from routecal.storage.artifact import Artifact, read_table
from routecal.storage.folder_artifact import folder_at
from routecal.tasks import extract as extraction
from routecal.tasks.benchmark.decision_cells import fit_decisions
from routecal.tasks.benchmark.features import extract_sets, headless
from routecal.tasks.benchmark.fit_cells import fit_cell, fit_router
from routecal.tasks.benchmark.outcome_sets import import_sets
from routecal.tasks.side_by_side import results
from tests.flows.conftest import States, of
from tests.flows.engines.bad_luck import OnlyHere, die, die_once, extraction_with, wait_for_another
from tests.tasks.benchmark.made import questions, write_outcomes
from tests.tasks.made import store_queries, texts, write_jsonl

pytestmark = pytest.mark.usefixtures("_own_results")


def test_extraction_on_workers_is_that_of_one_process_and_is_reused(
    alone: ExtractParams, spread: ExtractParams, states: States, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = extract(alone)
    assert of(states, "Completed")["extract"] == 4
    monkeypatch.setenv("ROUTECAL_HOME", str(tmp_path / "of workers"))
    there = extract(spread)
    assert there == here
    assert there.uri != here.uri
    # A run without the engine finds what the workers finished.
    states.clear()
    assert extract(spread.model_copy(update={"on": None, "workers": None})) == here
    assert of(states, "Cached")["extract"] == 4


def test_a_worker_that_dies_in_its_shard_is_survived(
    alone: ExtractParams, spread: ExtractParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = extract(alone)
    monkeypatch.setenv("ROUTECAL_HOME", str(tmp_path / "of workers"))
    death = tmp_path / "death"
    monkeypatch.setattr(extraction, "extract_shard", extraction_with(die_once, str(death)))
    assert extract(spread) == here
    assert death.exists()


def test_workers_that_die_again_and_again_end_the_run_in_a_sentence(
    spread: ExtractParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "extract_shard", extraction_with(die))
    with pytest.raises(WorkersLost, match=f"workers of {spread.on} died again and again over one task .*is kept$"):
        extract(spread)


def test_a_task_that_workers_cannot_load_is_not_taken_for_their_death(
    monkeypatch: pytest.MonkeyPatch, alone: ExtractParams
) -> None:
    # Dask raises what loading raised, as it is.
    spread = alone.model_copy(update={"on": "ray", "workers": 1})
    monkeypatch.setattr(extraction, "extract_shard", extraction_with(OnlyHere()))
    with pytest.raises(ClusterUnusable, match="a task could not run on its workers"):
        extract(spread)


def test_two_workers_that_extract_one_shard_at_once_store_it_once(
    spread: ExtractParams, router_checkpoint: Path, tmp_path: Path
) -> None:
    queries, router = store_queries(texts(20)), folder_at(str(router_checkpoint), "routers")
    (folder := tmp_path / "both").mkdir()
    task = extraction_with(wait_for_another, str(folder))

    @flow
    def twice() -> list[Any]:
        with on_engine(spread):
            # Under other keys, so that neither takes the other's result.
            return results(task, [(queries, router, Reading(), version) for version in ("one", "other")], "twice")

    one, other = twice()
    assert len(os.listdir(folder)) == 2
    assert one.features == other.features
    assert read_table(one.features).num_rows == 20
    assert [f.name for f in Path(one.features.uri).parent.iterdir()] == [Path(one.features.uri).name]


def test_cells_of_benchmark_and_ablation_are_those_of_one_process(
    engine: str, causal_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder := tmp_path / "data").mkdir()
    write_outcomes(folder / "one.jsonl", questions(300, about="home"), seed=1)
    (own,) = import_sets(str(folder))
    rows = own.divisions[0]

    @flow
    def cells(params: ExtractParams) -> list[Artifact]:
        backbone = headless(folder_at(str(causal_checkpoint), "models"))
        with on_engine(params, backbone):
            features = extract_sets([own], backbone, Reading(), 100)
            (router,) = results(fit_router, [("one", "regularised", 0, rows, features)], "router")
            place, rest = ("one", "regularised", 0, 0), (60, rows, {"one": rows}, features, router)
            fitted = results(fit_cell, [(*place, group, *rest) for group in ("baselines", "as-written")], "cells")
            decided = results(fit_decisions, [(*place, 60, rows, features, router, "outcome variants")], "decisions")
            return [features, router, *fitted, *decided]

    queries = {"queries": "absent", "router_path": "absent"}
    here = cells(ExtractParams(**queries))
    monkeypatch.setenv("ROUTECAL_HOME", str(tmp_path / "of workers"))
    there = cells(ExtractParams(**queries, on=engine, workers=2))
    assert there == here


def test_labels_of_a_local_model_are_those_of_one_process(
    engine: str, causal_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"query": text, "ground_truth": "Paris", "context": f"About {text}"} for text in texts(12)]
    params = LabelParams(
        queries=write_jsonl(tmp_path / "q.jsonl", rows),
        oracle="local",
        local_model=str(causal_checkpoint),
        shard_size=3,
    )
    here = read_table(label(params)).drop_columns(["labelled_at"])
    monkeypatch.setenv("ROUTECAL_HOME", str(tmp_path / "of workers"))
    there = read_table(label(params.model_copy(update={"on": engine, "workers": 2}))).drop_columns(["labelled_at"])
    assert there.equals(here)
