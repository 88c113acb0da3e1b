"""Why queries got no label: kept with the labels, joined over shards, said in sentences."""

import json
import logging
import pickle
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest

from routecal.storage.artifact import Artifact, read_metadata, read_table, write_table
from routecal.storage.layout import Home
from routecal.storage.schemas import SCHEMAS
from routecal.tasks.errors import NoGroundTruth, NothingLabelled
from routecal.tasks.oracle.api_labels import Labelled
from routecal.tasks.oracle.api_oracle import ApiOracle
from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec
from routecal.tasks.oracle.label_shards import check_labelled, store_labelled, unlabelled
from routecal.tasks.sharding import joined
from tests.tasks.made import store_labels, store_queries, texts

SPEC = ModelSpec(model="m")
ORACLE = ApiOracle(kind="gemini", provider="gemini", medium=SPEC, large=SPEC, judge=JudgeSpec(first=SPEC))


def ids(queries: Artifact) -> list[str]:
    return list(read_table(queries, columns=["query_id"])["query_id"].to_pylist())


def labels(n: int, reasons: Mapping[str, str]) -> Artifact:
    """Labels of the first n of our texts, and why others have none."""
    table = read_table(store_labels(texts(n), ["Standard_Query"] * n)) if n else SCHEMAS["labels"].empty_table()
    return store_labelled(Labelled(table, dict(reasons)))


def said(n: int, queries: Artifact, reasons: Mapping[str, str], caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.set_level(logging.WARNING)
    check_labelled(labels(n, reasons), queries, ORACLE)
    return [record.getMessage() for record in caplog.records]


def test_joined_shards_keep_every_reason() -> None:
    parts = [labels(2, {"a": "no ground truth"}), labels(1, {}), labels(0, {"b": "judge error: large"})]
    whole = joined(parts)
    assert whole.rows == 3
    assert unlabelled(whole) == {"a": "no ground truth", "b": "judge error: large"}


def test_joined_without_reasons_says_none() -> None:
    home = Home.from_env()
    rows = read_table(store_labels(texts(4), ["Complex_Query"] * 4))
    parts = [write_table(rows.slice(at, 2), "labels", home=home, metadata={"x": str(at)}) for at in (0, 2)]
    assert read_metadata(joined(parts)) == {"x": "0"}
    assert unlabelled(joined(parts)) == {}


def test_all_labelled_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert said(3, store_queries(texts(3)), {}, caplog) == []


@pytest.mark.parametrize("own", [{}, {"external_id": [None, "mine", None, None, None, "6th", "7th"]}])
def test_missing_ground_truth_is_named(own: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    queries = store_queries(texts(7), **own)
    (sentence,) = said(1, queries, dict.fromkeys(ids(queries)[1:], "no ground truth"), caplog)
    start, names = sentence.split(": ")
    assert start == "6 of 7 queries have no ground truth and are left out"
    first = "mine" if own else "«What is known about bridges no 1 in…»"
    assert names.startswith(f"{first}, «What ")
    assert names.endswith(" and 1 more")
    assert names.count(", ") == 4


def test_names_are_spelled_and_cut(caplog: pytest.LogCaptureFixture) -> None:
    queries = store_queries(["a", "\x1b[31mred\x9b", "c"], external_id=["a", None, "\x1b]0;x\x07" * 100_000])
    (sentence,) = said(1, queries, dict.fromkeys(ids(queries)[1:], "no ground truth"), caplog)
    assert r"«\x1b[31mred\x9b»" in sentence
    assert sentence.isprintable()
    assert len(sentence) < 200


def test_what_no_judge_could_grade_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    queries = store_queries(texts(6))
    reasons = ["judge error: large", "judge error: medium, large", "refused: it is too long: 9", "no ground truth"]
    sentences = said(2, queries, dict(zip(ids(queries)[2:], reasons, strict=True)), caplog)
    assert sentences[1:] == ["3 of 6 queries got no label and are left out: judge error (2), refused (1)"]
    assert sentences[0].startswith("1 of 6 queries have no ground truth")


@pytest.mark.parametrize(
    ("reasons", "error", "sentence"),
    [
        (["no ground truth"] * 3, NoGroundTruth, "none of the 3 queries has a ground_truth"),
        ([], NoGroundTruth, "none of the 3 queries has a ground_truth"),
        (
            ["judge error: medium", "no ground truth", "judge error: large"],
            NothingLabelled,
            r"^none of the 3 queries got a label: judge error \(2\), no ground truth \(1\); judge with another model",
        ),
        (
            ["refused: x"] * 3,
            NothingLabelled,
            r"got a label: refused \(3\), for one: x; correct what the provider refuses",
        ),
    ],
)
def test_an_empty_harvest_says_why(reasons: list[str], error: type[Exception], sentence: str) -> None:
    queries = store_queries(texts(3))
    with pytest.raises(error, match=sentence) as caught:
        check_labelled(labels(0, dict(zip(ids(queries), reasons, strict=False))), queries, ORACLE)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_reasons_are_json_that_others_can_read() -> None:
    found = labels(0, {"q": "refused: «x»"})
    assert json.loads(read_metadata(found)["unlabelled"]) == {"q": "refused: «x»"}
    assert read_table(found).schema.equals(pa.schema(SCHEMAS["labels"]))
