"""What is reused is there: a deleted artifact is made again, in the same run, without an error."""

from pathlib import Path

from routecal.flows.extract import extract
from routecal.flows.params import ExtractParams
from routecal.storage.artifact import read_table


def test_a_deleted_artifact_is_made_again(queries_file: str, router_checkpoint: Path, states) -> None:
    params = ExtractParams(queries=queries_file, router_path=str(router_checkpoint), shard_size=150)
    first = extract(params)
    parts = sorted(Path(first.uri).parent.glob("*.parquet"))
    assert len(parts) == 3  # two shards and both together
    lost = next(part for part in parts if str(part) != first.uri)
    lost.unlink()
    states.clear()
    again = extract(params)
    assert sorted(state for _, state in states) == ["Cached", "Completed"]
    assert lost.is_file()
    assert read_table(again).equals(read_table(first))

    # and once it is there, nothing is left to do; nor if it is lost a second time
    states.clear()
    extract(params)
    assert [state for _, state in states] == ["Cached", "Cached"]
    lost.unlink()
    assert extract(params) == first


def test_a_result_file_that_was_cut_short_is_no_result(queries_file, router_checkpoint, states, tmp_path) -> None:
    params = ExtractParams(queries=queries_file, router_path=str(router_checkpoint))
    first = extract(params)
    (stored,) = (p for p in (tmp_path / "results").rglob("*") if p.is_file())
    stored.write_text(stored.read_text()[:40])
    states.clear()
    assert extract(params) == first
    assert [state for _, state in states] == ["Completed"]
