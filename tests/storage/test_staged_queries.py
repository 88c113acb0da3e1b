"""A file that is read some rows at a time becomes the same queries, or the same refusal, as in one piece."""

import errno
import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from routecal.storage.artifact import digest_table, write_table
from routecal.storage.column_names import Wanted
from routecal.storage.conversion import FaultyRows
from routecal.storage.duplicate_rows import duplicate_keys
from routecal.storage.errors import DiskFull, StorageError
from routecal.storage.ingest import read_outcomes, read_queries
from routecal.storage.input_errors import BadRows, InputEmpty, InputMissing, MissingColumn
from routecal.storage.query_identity import query_id
from routecal.storage.schemas import SCHEMAS
from routecal.storage.staged_queries import staged_queries
from tests.storage.fuzzed_files import WRITERS, some_rows
from tests.storage.written_files import jsonl

WHOLE = 1000


@pytest.fixture(autouse=True)
def _two_at_a_time(monkeypatch):
    monkeypatch.setattr(Wanted, "rows_at_a_time", 2)


def outcome(path, mapping=None):
    """Sha256 of the table and what it says of itself, or the sentence of the refusal."""
    try:
        table = read_queries(path, mapping)
    except StorageError as error:
        return type(error), str(error)
    return digest_table(table, "queries"), table.schema.metadata


def in_parts_and_whole(path, monkeypatch, caplog):
    """(outcome, log) in parts of two and of three rows, which must be those of the whole file."""
    found = []
    for rows in (2, 3, WHOLE):
        monkeypatch.setattr(Wanted, "rows_at_a_time", rows)
        caplog.clear()
        found.append((outcome(path), [record.getMessage() for record in caplog.records]))
    assert found[0] == found[1] == found[2]
    return found[0]


@pytest.mark.parametrize("writer", WRITERS)
def test_where_parts_end_shows_nowhere(writer, tmp_path, monkeypatch, caplog):
    for seed in range(25):
        rng = random.Random(f"parts {writer.__name__} {seed}")
        rows = some_rows(rng) + some_rows(rng)
        name, content = writer(rng, rows)
        (tmp_path / name).write_bytes(content)
        in_parts_and_whole(tmp_path / name, monkeypatch, caplog)


def test_the_stored_bytes_are_those_of_the_whole_table(tmp_path, local_home):
    rows = [{"query": f"{i}?", "topic": "t" * (i % 3) or None} for i in range(9)]
    path = jsonl(tmp_path / "q.jsonl", [*rows, rows[4]])
    more = {"source": "q.jsonl"}
    table = [{**row, **more, "query_id": query_id(row["query"])} for row in rows]
    expected = write_table(pa.Table.from_pylist(table, schema=SCHEMAS["queries"]), "queries", home=local_home)
    assert digest_table(read_queries(path), "queries") == expected.sha256
    with staged_queries(path) as staged:
        assert [part.num_rows for part in staged.parts()] == [2, 2, 2, 2, 1]
        assert pa.concat_tables(staged.parts()).equals(pa.concat_tables(staged.parts()))
        assert (staged.n_queries, staged.is_kept.tolist()) == (9, [True] * 9 + [False])


@pytest.mark.parametrize(
    ("late", "found"),
    [
        # a column that nobody had before
        ({"query": "e?", "context": "c"}, [None] * 4 + ["c"]),
        # its own name beats a variant of it, also for the rows before
        ({"query": "e?", "context": "c", "Topic": "x"}, [None] * 4 + ["c"]),
        ({"query": "e?", "other": 1}, [None] * 5),
    ],
)
def test_columns_may_turn_up_late(late, found, tmp_path, monkeypatch, caplog):
    path = jsonl(tmp_path / "q.jsonl", [*({"query": f"{c}?", "Topic": c} for c in "abcd"), late])
    in_parts_and_whole(path, monkeypatch, caplog)
    assert read_queries(path)["context"].to_pylist() == found


def test_a_late_name_changes_what_the_first_rows_are(tmp_path, monkeypatch, caplog):
    first = [{"Query": f"{c}?", "query_id": c, "TOPIC": "t"} for c in "abcd"]
    path = jsonl(tmp_path / "q.jsonl", [*first, {"query": "e?", "id": "e", "topic": "u"}])
    (error, sentence), _ = in_parts_and_whole(path, monkeypatch, caplog)
    assert error is BadRows
    assert "4 of 5 rows cannot be used: line 1: the query is missing; line 2" in sentence
    path = jsonl(tmp_path / "q.jsonl", [*({**row, "query": row["Query"]} for row in first), {"query": "e?", "id": "e"}])
    in_parts_and_whole(path, monkeypatch, caplog)
    # The column `id` is the file's own id as soon as any row has it.
    assert read_queries(path)["external_id"].to_pylist() == [None] * 4 + ["e"]


def test_a_required_column_may_come_last_and_is_missed_only_at_the_end(tmp_path, monkeypatch, caplog):
    rows = [{"a": 1}, {"b": 1}, {"c": 1}, {"Query": 1, "QUERY": 2}, {"d": 1}]
    (error, sentence), _ = in_parts_and_whole(jsonl(tmp_path / "q.jsonl", rows[:3]), monkeypatch, caplog)
    assert error is MissingColumn
    assert "it has a, b, c:" in sentence
    (error, sentence), _ = in_parts_and_whole(jsonl(tmp_path / "q.jsonl", rows), monkeypatch, caplog)
    assert "several columns for 'query': 'Query', 'QUERY'" in sentence
    path = jsonl(tmp_path / "q.jsonl", [*rows, {"query": "x"}])
    (error, sentence), _ = in_parts_and_whole(path, monkeypatch, caplog)
    assert (error, sentence.count("the query is missing")) == (BadRows, 5)


def test_lines_that_hold_no_row_say_nothing_of_columns(tmp_path, monkeypatch, caplog):
    (tmp_path / "q.jsonl").write_text("1\n2\n3\n" + '{"query": ["a", "b"]}')
    (_, sentence), _ = in_parts_and_whole(tmp_path / "q.jsonl", monkeypatch, caplog)
    # An object of lists is columns only where it is all of the file.
    assert "4 of 4 rows cannot be used" in sentence
    assert "line 4: the query is ['a', 'b']" in sentence
    (tmp_path / "q.jsonl").write_text("1\n2\n3\n4\n5\n")
    (_, sentence), _ = in_parts_and_whole(tmp_path / "q.jsonl", monkeypatch, caplog)
    assert "5 of 5 rows" in sentence


def test_outcomes_have_late_columns_too(tmp_path):
    graded = {"medium_label": True, "large_label": False}
    rows = [{"query": f"{i}?", **graded} for i in range(4)]
    table = read_outcomes(jsonl(tmp_path / "o.jsonl", [*rows, {"query": "x?", "topic": "t", **graded}]))
    assert table["topic"].to_pylist() == [None] * 4 + ["t"]
    (tmp_path / "o.jsonl").write_text("\n".join(["1", *map(json.dumps, rows), "2"]))
    with pytest.raises(BadRows, match=r"2 of 6 rows cannot be used: line 1: .*; line 6: "):
        read_outcomes(tmp_path / "o.jsonl")


def test_rows_far_apart_repeat_each_other(tmp_path, monkeypatch, caplog):
    rows = [{"query": f"{i}?", "ground_truth": "a", "aliases": ["b"]} for i in range(6)]
    path = jsonl(tmp_path / "q.jsonl", [*rows, rows[3], rows[1] | {"aliases": ["c"]}, rows[0] | {"ground_truth": "d"}])
    (_, said), log = in_parts_and_whole(path, monkeypatch, caplog)
    assert said == {b"rows_read": b"9", b"duplicates": b"3"}
    assert log[0].endswith(
        "3 of 9 rows repeat an earlier query, 2 of them with another ground_truth or aliases "
        "(line 2: ['b']; line 8: ['c']); the first of each stays"
    )
    assert read_queries(path)["query"].to_pylist() == [row["query"] for row in rows]


def test_keys_are_equal_only_if_both_halves_are():
    keys = np.array([[1, 2], [1, 3], [2, 2], [1, 2], [2, 2]], np.uint64)
    assert duplicate_keys(keys).tolist() == [0, 1, 2, 0, 2]
    assert duplicate_keys(keys[:0]).tolist() == []


def test_an_id_of_two_queries_is_named_between_the_columns(tmp_path, monkeypatch, caplog):
    rows = [{"query": f"{i}?", "id": i} for i in range(6)]
    both = {"query": "x?", "id": 1, "ground_truth": {}, "topic": {}}
    path = jsonl(tmp_path / "q.jsonl", [*rows, {"query": "y?"}, {"query": "1?", "id": 1}, both, {"query": "z?"}])
    (_, sentence), _ = in_parts_and_whole(path, monkeypatch, caplog)
    assert "1 of 10 rows cannot be used: line 9: ground_truth is {}, " in sentence
    assert " was expected and the id '1' is that of another query on line 2 and topic is {}, " in sentence


def test_of_many_faulty_rows_the_first_are_named_and_all_are_counted(tmp_path):
    rows = [{"query": "same" if i % 2 else f"{i}?", "id": i // 2, "topic": {} if i > 5 else None} for i in range(400)]
    with pytest.raises(BadRows) as caught:
        read_queries(jsonl(tmp_path / "q.jsonl", rows))
    # Of lines 7 to 400 the topic is none; of every second one the id is that of the line before, in the first six too.
    assert (caught.value.n_faulty, caught.value.n_rows, len(caught.value.faults)) == (397, 400, 100)
    assert [line for line, _ in caught.value.faults[:5]] == [2, 4, 6, 7, 8]
    assert caught.value.faults[4][1].startswith("the id '3' is that of another query on line 7 and topic is {}")
    assert "397 of 400 rows cannot be used: line 2: the id '0'" in str(caught.value)
    assert str(caught.value).endswith("; and 392 more; correct or remove them, nothing was read")


def test_faults_that_are_not_named_are_not_held():
    faulty = FaultyRows()
    faulty.add((line, f"{line} is wrong") for line in range(1000, 0, -1))
    assert len(faulty._first) == 100
    with pytest.raises(BadRows) as caught:
        faulty.refuse("q", 1000, "line")
    assert [line for line, _ in caught.value.faults] == [*range(1, 101)]
    assert caught.value.n_faulty == 1000


def test_nothing_stays_of_what_waited_on_disk(tmp_path):
    folder, path = tmp_path / "home" / "queries", jsonl(tmp_path / "q.jsonl", [{"query": "a"}, {"query": "b"}] * 3)
    with staged_queries(path, folder=str(folder)) as staged:
        assert [file.name for file in folder.iterdir()] == [Path(staged.file).name]
        assert staged.file.name.startswith(".tmp-")
    assert [*folder.iterdir()] == []
    with pytest.raises(BadRows), staged_queries(jsonl(path, [{"query": "a"}, {"query": 1}]), folder=str(folder)):
        pass
    assert [*folder.iterdir()] == []
    late = [{"query": "a"}, {"query": "b"}, {"query": "c", "topic": "t"}]
    with staged_queries(jsonl(path, late), folder=str(folder)) as staged:
        assert [*folder.iterdir()] == [staged.file]


@pytest.mark.parametrize(("content", "error"), [(None, InputMissing), ("", InputEmpty), ('{"a": 1}', MissingColumn)])
def test_a_file_that_holds_no_queries_makes_no_folder(content, error, tmp_path):
    if content is not None:
        (tmp_path / "q.jsonl").write_text(content)
    with pytest.raises(error), staged_queries(tmp_path / "q.jsonl", folder=str(tmp_path / "home")):
        pass
    assert not (tmp_path / "home").exists()


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pa.ipc, "new_file", full)
    with pytest.raises(DiskFull), staged_queries(jsonl(tmp_path / "q.jsonl", [{"query": "a"}])):
        pass
