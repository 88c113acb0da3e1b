import json

import pytest

from routecal.storage import atomic
from routecal.storage.artifact import write_table
from routecal.storage.errors import DiskFull
from routecal.storage.example_join import export_jsonl, join_examples
from routecal.storage.query_identity import split_of
from routecal.storage.remote import resolve
from tests.storage.conftest import TEXTS

N_TAUGHT = sum(split_of(text) != "test" for text in TEXTS)


@pytest.fixture
def examples(home, queries, labels, features):
    return write_table(join_examples(queries, labels, features).table, "examples", home=home)


def test_one_line_per_example_with_the_fields_of_the_method(examples, tmp_path):
    path = tmp_path / "new" / "sft_data.jsonl"
    assert export_jsonl(examples, path) == (N_TAUGHT, 10 - N_TAUGHT)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [list(r) for r in rows] == [
        ["query", "router_policy", "true_policy", "is_correct", "target_confidence"]
    ] * N_TAUGHT
    assert all(r["is_correct"] == (r["router_policy"] == r["true_policy"]) for r in rows)
    assert [r["target_confidence"] for r in rows] == [1.0 if r["is_correct"] else 0.0 for r in rows]
    assert '"target_confidence": 1.0' in path.read_text()


def test_held_out_rows_are_written_on_demand_alone_and_then_marked(examples, tmp_path):
    path = tmp_path / "all.jsonl"
    assert 0 < N_TAUGHT < 10
    export_jsonl(examples, path)
    taught = [json.loads(line)["query"] for line in path.read_text().splitlines()]
    assert "test" not in map(split_of, taught)
    assert export_jsonl(examples, path, held_out=True) == (10, 0)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["split"] for row in rows] == [split_of(row["query"]) for row in rows]


def test_a_full_disk_leaves_the_old_file(examples, tmp_path, monkeypatch):
    path = tmp_path / "sft_data.jsonl"
    path.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(DiskFull):
        export_jsonl(examples, path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".tmp-")] == []


def test_to_a_url(examples):
    assert export_jsonl(examples, "memory://exported/x.jsonl") == (N_TAUGHT, 10 - N_TAUGHT)
    fs, path = resolve("memory://exported/x.jsonl")
    assert len(fs.cat_file(path).splitlines()) == N_TAUGHT
