"""Steps go by one run, say which, and refuse what does not belong together."""

import json
import logging
import re
from pathlib import Path

import pyarrow as pa
import pytest

from routecal.flows import cli
from routecal.flows.extract import extract
from routecal.flows.label import label
from routecal.flows.oracle_params import LabelParams
from routecal.flows.params import ExtractParams, TrainParams, TrainRouterParams
from routecal.flows.train import train, train_router_flow
from routecal.storage.artifact import Artifact, write_table
from routecal.storage.errors import UnknownName
from routecal.storage.layout import Home
from routecal.storage.manifest import latest_manifest, newest_first
from routecal.storage.schemas import SCHEMAS
from routecal.tasks import runs
from routecal.tasks.errors import MixedQueries, OptionMissing, RunLacks, RunUnknown
from routecal.tasks.export import export
from routecal.tasks.stats import stats
from tests.flows.refusal import Capture, refused
from tests.storage.conftest import filled
from tests.tasks.made import outcome_rows, write_jsonl

pytestmark = pytest.mark.usefixtures("_own_results", "plain_report")


def last_run() -> str:
    return newest_first(Home.from_env())[0].run_id


def n_labels(run: str | None = None) -> int:
    """How many labels `stats` counts."""
    (table,) = (t for t in stats(run=run) if t.title.startswith("Grades"))
    return sum(row["n"] for row in table.rows)


@pytest.fixture
def file(asked: list[str], policies: list[str], tmp_path: Path) -> str:
    """120 queries with their outcomes."""
    return write_jsonl(tmp_path / "some.jsonl", outcome_rows(asked[:120], policies[:120]))


@pytest.fixture
def mixed(asked: list[str], policies: list[str], tmp_path: Path) -> str:
    """20 of them, and 20 others."""
    return write_jsonl(tmp_path / "mixed.jsonl", outcome_rows(asked[100:140], policies[100:140]))


def test_train_pairs_labels_with_features_of_their_own_queries(
    file: str, mixed: str, router_checkpoint: Path, capsys: Capture
) -> None:
    small = ("--epochs", "2", "--hidden-units", "8", "--folds", "0", "--mode", "sft")
    label(LabelParams(queries=file))
    labelled = last_run()
    extract(ExtractParams(queries=mixed, router_path=str(router_checkpoint)))
    # neither file holds the other: what they share is no reason to train on it
    said = refused(capsys, "train", *small)
    assert said.startswith(
        f"the labels of run {labelled} and the features of run {last_run()} are of different queries"
    )
    assert "with 20 in common" in said
    assert not Path(Home.from_env().folder("heads")).exists()

    of_mixed = runs.newest_artifact("features")
    extract(ExtractParams(queries=file, router_path=str(router_checkpoint)))
    extracted = last_run()
    extract(ExtractParams(queries=mixed, router_path=str(router_checkpoint)))
    capsys.readouterr()
    assert cli.main(["train", *small]) == 0
    assert f"data    the labels of run {labelled} and the features of run {extracted}" in capsys.readouterr().out
    with pytest.raises(MixedQueries):
        train(TrainParams(features=of_mixed.uri))

    # a part of the file that was read is no mixture
    label(LabelParams(queries=file, limit=60))
    assert cli.main(["train", *small]) == 0
    assert cli.main(["train", *small, "--run", labelled]) == 0
    said = refused(capsys, "train", "--run", labelled, "--labels", of_mixed.uri)
    assert said.startswith("--labels takes the place of --run")


def test_stats_and_export_show_one_run_and_name_it(file: str, mixed: str, tmp_path: Path, capsys: Capture) -> None:
    label(LabelParams(queries=file))
    first = last_run()
    label(LabelParams(queries=mixed))
    assert n_labels() == 40
    assert n_labels(first) == 120
    assert {t.title.endswith(f"(run {first})") for t in stats(run=first)} == {True}
    with pytest.raises(RunUnknown, match=f"no run x recorded anything in ROUTECAL_HOME; the newest are {last_run()}, "):
        stats(run="x")
    with pytest.raises(RunLacks, match=f"the run {first} recorded no predictions, only queries, labels; name another"):
        stats(run=first, method="SFT")
    with pytest.raises(OptionMissing, match="no examples: run `routecal train` first"):
        export(output_file=str(tmp_path / "x.jsonl"))

    # of a night, tonight's examples, and not the held-out ones that judged its heads
    splits = ["train", "test", "calibration", "validation", "test"]
    tonight = filled("examples", 5, query=list("abcde"), split=splits, logits=[[0.0]] * 5)
    examples = write_table(tonight, "examples", home=Home.from_env())
    window = write_table(tonight.slice(4), "examples", home=Home.from_env())
    runs.record_run("recalibrate-1", examples=examples, window=window)
    out = tmp_path / "out.jsonl"
    capsys.readouterr()
    assert cli.main(["export", "--output-file", str(out)]) == 0
    assert [json.loads(line)["query"] for line in out.read_text().splitlines()] == ["a", "c", "d"]
    said = f"3 examples of run recalibrate-1 written to {out}; 2 held-out rows left out (--held-out writes them too)"
    assert capsys.readouterr().out == f"{said}\n"


def test_an_unknown_method_names_those_there_are() -> None:
    row = {"query_id": "a", "split": "test", "p": 0.5, "is_correct": True}
    rows = [row | {"method": name} for name in ("constant", "SFT")]
    table = pa.Table.from_pylist(rows, schema=SCHEMAS["predictions"])
    predictions = write_table(table, "predictions", home=Home.from_env())
    runs.record_run("evaluate-1", predictions=predictions)
    with pytest.raises(UnknownName, match="'SFTT' is not a known method of this run; choose one of SFT, constant"):
        stats(method="SFTT")
    # the head in question is the last
    (shown,) = stats()
    assert (shown.title, len(shown.rows)) == ("Reliability of «SFT», test split (run evaluate-1)", 1)


def test_labels_of_a_router_are_nobody_else_s(
    file: str, causal_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def fails(*_arguments: object) -> Artifact:
        raise ConnectionError("in between")

    params = TrainRouterParams(queries=file, base_model=str(causal_checkpoint))
    with monkeypatch.context() as patch:
        patch.setattr("routecal.flows.train.train_router", fails)
        with pytest.raises(ConnectionError, match="in between"):
            train_router_flow(params)
    assert newest_first(Home.from_env()) == []
    train_router_flow(params)
    (manifest,) = newest_first(Home.from_env())
    assert list(manifest.artifacts) == ["router", "router_queries", "router_labels"]
    assert latest_manifest(Home.from_env(), "labels") is None
    assert "no artifacts: run" in refused(capsys, "stats")


def test_extract_says_what_reading_took_and_that_nothing_was_read_again(
    file: str, router_checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    params = ExtractParams(queries=file, router_path=str(router_checkpoint), shard_size=50)
    with caplog.at_level(logging.INFO, "routecal.tasks.extract"):
        state = extract(params, return_state=True)
        assert re.fullmatch(
            r"120 queries read, 0 of them cut to the router's window; [\d,]+ tokens/s, \d+ % of them padding, "
            r"\d+ % of the matrix ceiling \([\d,]+ GFLOP/s\)",
            str(state.message),
        )
        assert extract(params, return_state=True).message == "120 queries read, 0 of them cut to the router's window"
    first, second = [record.getMessage() for record in caplog.records if record.getMessage().startswith("extract: ")]
    assert first.removeprefix("extract: ") in str(state.message)
    assert second == "extract: all of it had been read before"
