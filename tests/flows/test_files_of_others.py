"""Files with other columns, rows that repeat, and runs of 0.1, from the command line on."""

import os
import re
from pathlib import Path
from unittest.mock import patch

import pytest

from routecal.flows import cli
from routecal.flows.extract import extract
from routecal.flows.label import pace_of
from routecal.flows.oracle_params import LabelParams
from routecal.flows.params import ExtractParams, TrainParams
from routecal.flows.train import _data, train
from routecal.storage.artifact import read_table
from routecal.storage.ingest import read_queries
from routecal.storage.query_identity import is_rough, rough_id
from routecal.tasks import runs
from routecal.tasks.errors import NothingInCommon
from routecal.tasks.old_tables import under_one_identity
from routecal.tasks.oracle.api_oracle import ApiOracle
from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec
from tests.flows.api_labels import label_argv, rows_of
from tests.flows.refusal import Capture, refused
from tests.gemini_server.server import GeminiServer
from tests.tasks.made import outcome_rows, write_jsonl

pytestmark = pytest.mark.usefixtures("_own_results", "plain_report")
MODEL = ModelSpec(model="m")
ORACLE = ApiOracle(
    kind="gemini", provider="gemini", medium=MODEL, large=MODEL, judge=JudgeSpec(kind="model", first=MODEL)
)
CASES = Path(__file__).parents[2].parent / "shared" / "cases"


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (
            "query",
            "--columns: 'query' is not a pair; write pairs OURS=YOURS, such as query=question,ground_truth=answer",
        ),
        ("source=question", "'source' is not one of our columns"),
        ("query=a,query=b", "'query' is given twice"),
        ("query=a,topic=a", "the file's column 'a' is given twice"),
        ("query=", "'query=' is not a pair"),
    ],
)
@pytest.mark.parametrize("command", ["label", "extract", "calibrate", "train-router", "recalibrate"])
def test_a_wrong_mapping_is_refused_before_anything_starts(
    command: str, columns: str, says: str, tmp_path: Path, capsys: Capture
) -> None:
    given = {"recalibrate": "--inbox", "train-router": "--base-model"}.get(command, "--queries")
    argv = [command, given, "nowhere", "--columns", columns]
    argv += ["--queries", "nowhere"] if command == "train-router" else []
    argv += [] if command in ("label", "train-router") else ["--router-path", "nowhere"]
    assert says in refused(capsys, *argv)
    assert not Path(os.environ["ROUTECAL_HOME"]).exists()


def test_other_columns_are_proposed_and_then_read(
    asked: list[str], policies: list[str], tmp_path: Path, capsys: Capture
) -> None:
    names = {"query": "question", "medium_label": "weak", "large_label": "strong"}
    outcomes = [{names.get(k, k): v for k, v in row.items()} for row in outcome_rows(asked[:40], policies[:40])]
    rows = [{"question": text, "answer": ["x", "y"]} for text in asked[:40]]
    argv = ["label", "--queries", write_jsonl(tmp_path / "q.jsonl", rows)]
    argv += ["--outcomes", write_jsonl(tmp_path / "o.jsonl", outcomes)]
    said = refused(capsys, *argv)
    option = re.search("add (--columns [^ ]+), or rename", said)
    assert option is not None
    assert option[1] == "--columns query=question,ground_truth=answer"
    argv += [option[1].replace("--columns ", "--columns=") + ",medium_label=weak,large_label=strong"]
    assert cli.main(argv) == 0
    assert runs.newest_artifact("labels").rows == 40
    assert set(read_table(runs.newest_artifact("queries"))["ground_truth"].to_pylist()) == {"x"}


def test_rows_that_disagree_are_named_where_people_look(tmp_path: Path, capsys: Capture) -> None:
    row = {"medium_label": "CORRECT", "large_label": "CORRECT"}
    rows = [{"query": "Which?", "ground_truth": truth} | row for truth in "AAC"] + [{"query": "Who?"} | row]
    assert cli.main(["label", "--queries", write_jsonl(tmp_path / "q.jsonl", rows)]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "2 of 4 rows repeat an earlier query, 1 of them with another ground_truth (line 1: 'A'; line 3: 'C')" in said
    assert runs.newest_artifact("labels").rows == 1


@pytest.mark.skipif(not CASES.is_dir(), reason="the files are not beside this checkout")
def test_no_query_is_given_the_outcome_of_another(tmp_path: Path, capsys: Capture) -> None:
    argv = ["label", "--queries", str(CASES / "collq.jsonl"), "--outcomes", str(CASES / "collo.jsonl")]
    assert "holds an outcome for none of the 3 queries" in refused(capsys, *argv)


def test_what_0_1_paid_for_is_not_paid_again(file: str, server: GeminiServer, tmp_path: Path) -> None:
    with patch("routecal.storage.conversion.query_id", lambda text, context=None: rough_id(text)):
        assert cli.main(label_argv(file, server)) == 0
    before = runs.newest_artifact("labels")
    assert all(map(is_rough, read_table(before)["query_id"].to_pylist()))
    paid, job = server.requests(), pace_of(LabelParams(queries=file), runs.newest_artifact("queries"), ORACLE).job
    assert paid > 0
    assert cli.main(label_argv(file, server)) == 0
    assert server.requests() == paid
    # the same job: whatever it may spend is counted on
    assert pace_of(LabelParams(queries=file), runs.newest_artifact("queries"), ORACLE).job == job
    after = runs.newest_artifact("labels")
    assert after != before
    assert read_table(after)["query_id"].to_pylist() == read_queries(file)["query_id"].to_pylist()
    same = [
        [{k: v for k, v in row.items() if k != "query_id"} for row in rows_of(labels)] for labels in (before, after)
    ]
    assert same[0] == same[1]


def test_labels_of_0_1_are_joined_to_features_of_now(
    file: str, server: GeminiServer, router_checkpoint: Path, tmp_path: Path
) -> None:
    with patch("routecal.storage.conversion.query_id", lambda text, context=None: rough_id(text)):
        assert cli.main(label_argv(file, server)) == 0
    extract(ExtractParams(queries=file, router_path=str(router_checkpoint)))
    found = under_one_identity(**_data(TrainParams()))
    ids = [read_table(table)["query_id"].to_pylist() for table in found.values()]
    assert ids[0] == ids[1] == ids[2] == read_queries(file)["query_id"].to_pylist()
    assert read_table(found["labels"])["true_policy"].equals(read_table(runs.newest_artifact("labels"))["true_policy"])
    # what is extracted from other queries later is not taken for theirs; named, it is refused
    other = write_jsonl(tmp_path / "other.jsonl", [{"query": f"Another {i}?"} for i in range(5)])
    of_others = extract(ExtractParams(queries=other, router_path=str(router_checkpoint)))
    assert under_one_identity(**_data(TrainParams())) == found
    with pytest.raises(
        NothingInCommon, match="no query is among the 20 queries, the 20 labels and the 5 features alike"
    ):
        train(TrainParams(features=of_others.uri))
