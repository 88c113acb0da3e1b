import json

import pytest

from storage import atomic
from storage.artifact import write_table
from storage.errors import DiskFull
from storage.examples import join_examples
from storage.export import export_jsonl


@pytest.fixture
def examples(home, queries, labels, features):
    return write_table(join_examples(queries, labels, features).table, "examples", home=home)


def test_one_line_per_example_with_the_fields_of_the_method(examples, tmp_path):
    path = tmp_path / "new" / "sft_data.jsonl"
    assert export_jsonl(examples, path) == 10
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [list(r) for r in rows] == [
        ["query", "router_policy", "true_policy", "is_correct", "target_confidence"]
    ] * 10
    assert all(r["is_correct"] == (r["router_policy"] == r["true_policy"]) for r in rows)
    assert [r["target_confidence"] for r in rows] == [1.0 if r["is_correct"] else 0.0 for r in rows]
    assert '"target_confidence": 1.0' in path.read_text()


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
    assert export_jsonl(examples, "memory://exported/x.jsonl") == 10
    fs, path = atomic.resolve("memory://exported/x.jsonl")
    assert len(fs.cat_file(path).splitlines()) == 10
