"""Columns under other names: found, mapped, or refused with the option that would map them."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from routecal.storage.column_names import mapping_of
from routecal.storage.ingest import read_outcomes, read_queries
from routecal.storage.input_errors import MissingColumn, WrongMapping

PAIRS = {"query": "question", "ground_truth": "answer"}


def written(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        (None, {}),
        ("  ", {}),
        ("query=question", {"query": "question"}),
        (" query = question , ground_truth=answer ", PAIRS),
        ('query=a b,"topic=x, y"', {"query": "a b", "topic": "x, y"}),
        ("query=a=b", {"query": "a=b"}),
        ('query="a', {"query": '"a'}),
        ("medium_label=weak,large_cost_usd=usd", {"medium_label": "weak", "large_cost_usd": "usd"}),
    ],
)
def test_pairs(text, pairs):
    assert mapping_of(text) == pairs


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("query", "'query' is not a pair"),
        ("query=", "'query=' is not a pair"),
        ("=question", "'=question' is not a pair"),
        ("query=a,,topic=b", "'' is not a pair"),
        ("query=a,", "'' is not a pair"),
        ("question=query", "'question' is not one of our columns (they are query, ground_truth, "),
        ("Query=q", "'Query' is not one of our columns"),
        ("source=s", "'source' is not one of our columns"),
        ("query=a,query=b", "'query' is given twice"),
        ("query=a,topic=a", "the file's column 'a' is given twice"),
        ('"query=a', "it cannot be read"),
    ],
)
def test_what_is_no_mapping(text, says):
    with pytest.raises(WrongMapping) as caught:
        mapping_of(text)
    assert says in str(caught.value)
    assert str(caught.value).endswith("write pairs OURS=YOURS, such as query=question,ground_truth=answer")


def test_a_mapping_is_read_before_columns_of_our_own_names(tmp_path):
    path = written(tmp_path / "q.jsonl", {"question": "Why?", "answer": 3, "query": "SELECT", "ground_truth": "x"})
    [row] = read_queries(path, PAIRS).to_pylist()
    assert (row["query"], row["ground_truth"]) == ("Why?", "3")
    [row] = read_queries(path).to_pylist()
    assert (row["query"], row["ground_truth"]) == ("SELECT", "x")


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_mapped_column_must_be_there(tmp_path, suffix):
    path = table(tmp_path, suffix, question=["Why?"], n=["1"])
    with pytest.raises(MissingColumn) as caught:
        read_queries(path, PAIRS)
    assert "has no column 'answer', which is required; it has question, n" in str(caught.value)


def test_the_option_is_proposed(tmp_path):
    path = written(tmp_path / "q.jsonl", {"prompt": "Why?", "n": 1, "target": "x"})
    with pytest.raises(MissingColumn) as caught:
        read_queries(path, {})
    assert str(caught.value).endswith(
        "it has prompt, n, target: add --columns query=prompt,ground_truth=target, or rename the one that holds it to "
        "'query'"
    )
    # a command that takes no mapping must not propose one
    with pytest.raises(MissingColumn) as caught:
        read_queries(path)
    assert "--columns" not in str(caught.value)


@pytest.mark.parametrize("theirs", ["question", "Prompt", "input", "problem", "user query"])
def test_likely_names_are_proposed_as_a_shell_takes_them(tmp_path, theirs):
    with pytest.raises(MissingColumn) as caught:
        read_queries(written(tmp_path / "q.jsonl", {theirs: "Why?"}), {})
    option = f"'query={theirs}'" if " " in theirs else f"query={theirs}"
    assert f"add --columns {option}, or rename" in str(caught.value)
    assert read_queries(tmp_path / "q.jsonl", mapping_of(option.strip("'")))["query"].to_pylist() == ["Why?"]


def test_no_option_is_proposed_where_no_name_tells(tmp_path):
    with pytest.raises(MissingColumn) as caught:
        read_queries(written(tmp_path / "q.jsonl", {"a": 1, "b": 2}), {})
    assert "it has a, b: rename the one that holds it" in str(caught.value)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(("query", "truth"), [("Query", "Ground Truth"), (" QUERY ", "ground-truth")])
def test_variants_of_our_names(tmp_path, suffix, query, truth):
    path = table(tmp_path, suffix, **{query: ["Why?"], truth: ["x"]})
    assert read_queries(path).select(["query", "ground_truth"]).to_pylist() == [{"query": "Why?", "ground_truth": "x"}]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_several_variants_are_refused_and_an_exact_name_is_not(tmp_path, suffix):
    path = table(tmp_path, suffix, Query=["a"], QUERY=["b"])
    with pytest.raises(
        MissingColumn, match="several columns for 'query': 'Query', 'QUERY'; rename or remove all but one"
    ):
        read_queries(path)
    path = table(tmp_path, suffix, Query=["a"], query=["b"])
    assert read_queries(path)["query"].to_pylist() == ["b"]


def test_outcomes_take_the_mapping_and_their_own_names(tmp_path):
    mapping = mapping_of("query=question,medium_label=weak,large_label=strong,id=key")
    path = written(tmp_path / "o.jsonl", {"question": "Why?", "weak": True, "strong": 0})
    [row] = read_outcomes(path, mapping).to_pylist()
    assert (row["query"], row["medium_label"], row["large_label"]) == ("Why?", "CORRECT", "INCORRECT")
    # queries are called otherwise in their file
    path = written(tmp_path / "o.jsonl", {"query": "Why?", "weak": True, "strong": 0})
    assert read_outcomes(path, mapping)["query"].to_pylist() == ["Why?"]
    # what only outcomes have must be where the mapping says
    path = written(tmp_path / "o.jsonl", {"query": "Why?", "medium_label": True, "large_label": 0})
    with pytest.raises(MissingColumn, match="no column 'weak'"):
        read_outcomes(path, mapping)


def test_the_id_that_the_user_names_is_the_id(tmp_path):
    path = written(tmp_path / "q.jsonl", {"query": "Why?", "id": "1", "key": "k"})
    assert read_queries(path, {"external_id": "key"})["external_id"].to_pylist() == ["k"]


def table(folder, suffix, **columns):
    """One file of the given columns."""
    path = folder / f"q.{suffix}"
    if suffix == "jsonl":
        return written(path, *(dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)))
    if suffix == "parquet":
        pq.write_table(pa.table(columns), path)
        return path
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    path.write_text("".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
    return path
