"""Nights, steps and caches go on where their home is now."""

import shutil
from pathlib import Path

import pytest
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings

from routecal.flows.evaluate import evaluate
from routecal.flows.night_params import RecalibrateParams
from routecal.flows.params import EvaluateParams
from routecal.flows.recalibrate import recalibrate
from routecal.storage.artifact import read_table
from routecal.storage.head_registry import history
from routecal.storage.layout import Home
from routecal.storage.manifest import latest_manifest, manifests
from routecal.tasks.night.label_history import NIGHT
from routecal.tasks.stats import stats
from tests.tasks.made import outcome_rows, policies_for, texts, write_jsonl

pytestmark = pytest.mark.usefixtures("plain_report")


def test_a_night_goes_on_in_a_home_that_was_moved(
    states: list[tuple[str, str]], router_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, moved, inbox = tmp_path / "artifacts", tmp_path / "moved", tmp_path / "inbox"
    asked = texts(600)
    rows = outcome_rows(asked, policies_for(asked, router_checkpoint))
    inbox.mkdir()
    write_jsonl(inbox / "monday.jsonl", [{"query": text} for text in asked[:400]])
    params = RecalibrateParams(
        inbox=str(inbox),
        outcomes=write_jsonl(tmp_path / "outcomes.jsonl", rows),
        # Among the artifacts, as train-router leaves one.
        router_path=str(shutil.copytree(router_checkpoint, home / "routers" / "mine")),
        epochs=2,
        hidden_units=8,
        target_ece=0.5,
        recheck_nights=1,
        large_price=20,
    )
    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: home / "results"}):
        first = recalibrate(params)
    assert first.n_labelled == 400
    said = [file for file in home.rglob("*") if file.is_file() and file.parent.name in ("runs", "registry")]
    assert len(said) == 2

    home.rename(moved)
    monkeypatch.setenv("ROUTECAL_HOME", str(moved))
    params = params.model_copy(update={"router_path": str(moved / "routers" / "mine")})
    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: moved / "results"}):
        # a head of the night before, on its own rows
        evaluated = evaluate(EvaluateParams())
        assert evaluated.data == f"labels, features and examples of run {first.run_id}"
        assert {t.title.rpartition(" (")[2] for t in stats(run=first.run_id)} == {f"run {first.run_id})"}

        # what the first night read is still known, and so is whoever decided
        write_jsonl(inbox / "tuesday.jsonl", [{"query": text} for text in asked[400:]])
        states.clear()
        second = recalibrate(params)
    assert (second.n_new, second.n_labelled) == (200, 200)
    before, *_, after = history(Home.from_env())
    assert (before.run_id, after.run_id) == (first.run_id, second.run_id)
    told = [m.artifacts[NIGHT] for m in manifests(Home.from_env(), "recalibrate")]
    assert [read_table(row)["n_labelled"][0].as_py() for row in told] == [400, 200]
    newest = latest_manifest(Home.from_env(), "examples")
    assert newest is not None
    assert {a.uri.startswith(f"{moved}/") for a in newest.artifacts.values()} == {True}
    assert not home.exists()
