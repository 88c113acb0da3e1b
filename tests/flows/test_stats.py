"""`routecal stats NAME`: whose rows it shows, and what it says where there is nothing to show."""

import json
from datetime import UTC, datetime
from typing import get_args

import pytest

from routecal.flows import cli
from routecal.flows.result_params import SplitName
from routecal.storage.artifact import Artifact, write_table
from routecal.storage.errors import UnknownName
from routecal.storage.layout import Home
from routecal.storage.query_files import names
from routecal.storage.query_identity import SPLITS
from routecal.tasks import runs
from routecal.tasks.errors import OptionMissing, RunLacks
from routecal.tasks.stats import stats
from routecal.tasks.stats_errors import OneWindow
from tests.flows.refusal import Capture, refused
from tests.storage.conftest import filled
from tests.storage.eight_queries import predicted, store

pytestmark = pytest.mark.usefixtures("_own_results")


@pytest.fixture
def run_1() -> dict[str, Artifact]:
    """A run that stored everything of eight queries."""
    made = {kind: table for kind, table in store(Home.from_env()).items() if kind != "nights"}
    runs.record_run("calibrate-1", **made)
    return made


def examples(*ids: str) -> Artifact:
    n = len(ids)
    table = filled("examples", n, query_id=list(ids), topic=["a"] * n, split=["test"] * n, logits=[[0.0]] * n)
    return write_table(table, "examples", home=Home.from_env())


def record_night(run_id: str, *ids: str, key: str = "k", **more: Artifact) -> None:
    """A night that labelled these queries."""
    when = datetime(2026, 11, int(run_id[-1]), tzinfo=UTC)
    row = write_table(filled("nights", 1, run_id=[run_id], ended_at=[when]), "nights", home=Home.from_env())
    runs.record_run(run_id, **({"examples": examples(*ids)} if ids else {}), night=row, key=key, **more)


@pytest.mark.parametrize("name", [name for name in names() if name not in ("nights", "reliability_by_night")])
def test_every_statistic_of_a_run_is_shown_by_its_name(run_1: dict[str, Artifact], name: str, capsys: Capture) -> None:
    (table,) = stats(name)
    assert table.title.endswith("(run calibrate-1)")
    assert table.rows
    assert cli.main(["stats", name]) == 0
    assert table.title.split(" (")[0] in capsys.readouterr().out
    assert cli.main(["stats", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["columns"] == table.columns


def test_options_choose_method_split_and_bins(run_1: dict[str, Artifact]) -> None:
    (table,) = stats("ece", method="sft", split="train", n_bins=2)
    assert (table.title, table.rows[0]["n"]) == ("Calibration error of «sft», train split (run calibrate-1)", 1)
    with pytest.raises(UnknownName, match="'SFT' is not a known method of this run; choose one of rl, sft"):
        stats("ece", method="SFT")
    assert get_args(SplitName) == SPLITS


def test_what_a_run_lacks_is_said(run_1: dict[str, Artifact], capsys: Capture) -> None:
    runs.record_run("label-1", queries=run_1["queries"], labels=run_1["labels"])
    with pytest.raises(RunLacks, match="the run label-1 recorded no predictions, only queries, labels"):
        stats("ece", run="label-1")
    # of which there is enough for this
    (table,) = stats("coverage", run="label-1")
    assert {row["n_features"] for row in table.rows} == {0}
    assert "'profit' is not a known statistic; choose one of cost, coverage" in refused(capsys, "stats", "profit")


def test_before_anything_is_stored_one_sentence_says_what_to_do(capsys: Capture) -> None:
    assert "no queries: run `routecal label` first" in refused(capsys, "stats", "duplicates")
    assert "no nights: run `routecal recalibrate` first" in refused(capsys, "stats", "nights")


def test_no_row_has_its_reason(capsys: Capture) -> None:
    runs.record_run("train-1", examples=examples("x", "y"), labels=write_labels())
    assert cli.main(["stats", "judge_disagreement"]) == 0
    assert capsys.readouterr().out.startswith("Disagreement of judges (run train-1): no label has votes of a judge")


def write_labels() -> Artifact:
    return write_table(filled("labels", 2, query_id=["x", "y"]), "labels", home=Home.from_env())


def test_drift_between_two_times(run_1: dict[str, Artifact], capsys: Capture) -> None:
    (table,) = stats("drift")
    assert table.title == "Drift: later half of the time against the earlier (run calibrate-1)"
    assert cli.main(["stats", "drift", "--since", "2026-11-03", "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert shown["title"] == "Drift: since 2026-11-03 00:00 UTC (run calibrate-1)"
    assert (shown["rows"][0]["n_before"], shown["rows"][0]["n_now"]) == (4, 2)
    said = refused(capsys, "stats", "drift", "--since", "2026-12-01")
    assert "there is one only, with all 6 queries; name a time between the first and the last" in said


def test_one_window_is_refused() -> None:
    timeless = filled("queries", 2, query_id=["x", "y"])
    queries = write_table(timeless, "queries", home=Home.from_env())
    runs.record_run("train-1", queries=queries, examples=examples("x", "y"))
    with pytest.raises(OneWindow, match="there is no example with a received_at; give that column to your queries"):
        stats("drift")
    record_night("recalibrate-1", "x", "y")
    with pytest.raises(OneWindow, match="there is one night that labelled something; run `routecal recalibrate`"):
        stats("drift", run="recalibrate-1")


def test_statistics_of_nights_are_of_one_router_up_to_one_night() -> None:
    predictions = write_table(predicted(), "predictions", home=Home.from_env())
    record_night("recalibrate-1", "x", "y", predictions=predictions)
    record_night("recalibrate-2", key="of another router")
    record_night("recalibrate-3")
    record_night("recalibrate-4", "z", predictions=predictions)
    (nights,) = stats("nights")
    assert nights.title == "Nights (nights to recalibrate-4)"
    assert [row["night"][:10] for row in nights.rows] == ["2026-11-01", "2026-11-03", "2026-11-04"]
    assert len(stats("nights", run="recalibrate-3")[0].rows) == 2
    (by_night,) = stats("reliability_by_night", method="sft")
    assert [row["run_id"] for row in by_night.rows] == ["recalibrate-1", "recalibrate-4"]
    (drift,) = stats("drift", run="recalibrate-4")
    assert drift.title == "Drift: newest night against those before (nights to recalibrate-4)"
    assert (drift.rows[0]["n_before"], drift.rows[0]["n_now"]) == (2, 1)
    with pytest.raises(OptionMissing, match="no predictions of nights"):
        stats("reliability_by_night", run="recalibrate-2")


def test_a_night_s_predictions_are_joined_to_all_that_it_pooled() -> None:
    predictions = write_table(predicted(), "predictions", home=Home.from_env())
    record_night("recalibrate-1", "q4", predictions=predictions, **{runs.POOLED: examples("q1", "q2", "q4")})
    (table,) = stats("reliability_by_slice", method="sft")
    assert sum(row["n"] for row in table.rows if row["part"] == "topic") == 3
