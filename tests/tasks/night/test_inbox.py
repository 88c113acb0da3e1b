"""What a night finds in its inbox."""

from pathlib import Path

import pytest

from routecal.storage import ingest
from routecal.storage.artifact import read_table
from routecal.storage.query_identity import query_id, rough_id
from routecal.tasks.errors import InboxMissing
from routecal.tasks.night import inbox
from routecal.tasks.night.inbox import Gathered, gather
from tests.tasks.made import write_jsonl


def texts_of(found: Gathered) -> list[tuple[str, str | None]]:
    return [(row["query"], row["context"]) for row in read_table(found.queries).to_pylist()]


def test_each_text_and_context_is_gathered_once(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [{"query": "Sum?", "context": "1"}, {"query": "5 mW?"}, {"query": "Old?"}])
    write_jsonl(tmp_path / "b.jsonl", [{"query": "Sum?", "context": "2"}, {"query": "5 MW?"}, {"query": " 5 mW? "}])
    (tmp_path / "c.tsv").write_text("query\tcontext\nSum?\t1\nNew?\t\n", encoding="utf-8")
    found = gather.fn(str(tmp_path), {query_id("Old?")}, 100)
    assert texts_of(found) == [("Sum?", "1"), ("5 mW?", None), ("Sum?", "2"), ("5 MW?", None), ("New?", None)]
    assert (found.n_new, found.n_files, found.unreadable) == (5, 3, ())


def test_what_trained_the_router_is_left_out_in_any_spelling(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [{"query": "WHO?"}, {"query": "Who?", "context": "x"}, {"query": "What?"}])
    assert texts_of(gather.fn(str(tmp_path), set(), 100, seen={rough_id("Who?")})) == [("What?", None)]


def test_columns_are_mapped_and_a_file_without_them_is_passed_over(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [{"question": "Who?"}])
    write_jsonl(tmp_path / "b.jsonl", [{"query": "What?"}])
    found = gather.fn(str(tmp_path), set(), 100, columns="query=question")
    assert texts_of(found) == [("Who?", None)]
    assert "b.jsonl has no column 'question'" in found.unreadable[0]


def test_no_inbox(tmp_path: Path) -> None:
    with pytest.raises(InboxMissing):
        gather.fn(str(tmp_path / "none"), set(), 1)


@pytest.mark.parametrize("change", ["grows", "is replaced", "goes"])
def test_a_file_that_changes_while_it_is_read_is_left_for_another_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    write_jsonl(tmp_path / "a.jsonl", [{"query": "Old?"}])
    write_jsonl(tmp_path / "b.jsonl", [{"query": "Whole?"}])

    def read(path: str, *more: object) -> object:
        table = ingest.read_queries(path, *more)
        if path.endswith("a.jsonl"):
            file = Path(path)
            if change == "grows":
                file.write_text(file.read_text() + '{"query": "New?"}\n')
            elif change == "is replaced":
                write_jsonl(tmp_path / ".c.jsonl", [{"query": "Own?"}])
                (tmp_path / ".c.jsonl").replace(file)
            else:
                file.unlink()
        return table

    monkeypatch.setattr(inbox, "read_queries", read)
    found = gather.fn(str(tmp_path), set(), 100)
    assert texts_of(found) == [("Whole?", None)]
    (sentence,) = found.unreadable
    assert sentence.startswith(f"{tmp_path}/a.jsonl changed while it was read; ")


def test_a_file_that_goes_before_it_is_read_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_jsonl(tmp_path / "b.jsonl", [{"query": "Whole?"}])
    listed = [str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]
    monkeypatch.setattr(inbox, "files", lambda _: listed)
    found = gather.fn(str(tmp_path), set(), 100)
    assert texts_of(found) == [("Whole?", None)]
    assert "there is no file" in found.unreadable[0]
