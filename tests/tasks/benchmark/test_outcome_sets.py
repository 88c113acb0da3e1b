"""Outcomes files under the protocol: shared questions agree, near-identical ones stay together."""

import logging
from pathlib import Path

import pytest

from routecal.storage.artifact import read_table
from routecal.storage.input_errors import InputMissing, MissingColumn
from routecal.storage.query_identity import split_of
from routecal.tasks.benchmark.outcome_sets import OutcomeSet, import_sets, question_of
from routecal.tasks.errors import NoOutcomes, UnknownSet
from tests.tasks.benchmark.made import questions, write_outcomes
from tests.tasks.made import write_jsonl


def parts(one: OutcomeSet, division: int = 0) -> dict[str, str]:
    """query_id -> part."""
    table = read_table(one.divisions[division])
    return dict(zip(table["query_id"].to_pylist(), table["part"].to_pylist(), strict=True))


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Two files of the same questions, one of which ends them in a cue, and a third of others."""
    asked = questions(300, about="home")
    write_outcomes(tmp_path / "plain.jsonl", asked, seed=1)
    write_outcomes(tmp_path / "cued.jsonl", [f"{text}\nAnswer: " for text in reversed(asked)], seed=2)
    write_outcomes(tmp_path / "other.jsonl", questions(250, about="work"), seed=3)
    return str(tmp_path)


def test_files_that_share_questions_agree_on_the_split(folder: str) -> None:
    sets = {one.name: one for one in import_sets(folder)}
    assert list(sets) == ["other", "cued", "plain"]  # the smallest first
    assert parts(sets["cued"]) == parts(sets["plain"])
    assert set(parts(sets["plain"]).values()) == {"router", "labelled", "test"}
    assert [sets[name].family for name in ("other", "cued", "plain")] == ["other", "cued", "cued"]
    assert read_table(sets["cued"].rows)["query"].to_pylist() == read_table(sets["plain"].rows)["query"].to_pylist()


def test_a_third_file_joins_two_into_one_family(folder: str) -> None:
    write_outcomes(Path(folder) / "bridge.jsonl", [*questions(5, about="home"), *questions(5, about="work")])
    assert {one.family for one in import_sets(folder)} == {"bridge"}


def test_rows_are_drawn_by_hash_so_that_files_still_share_them(folder: str) -> None:
    some, more = ({one.name: parts(one) for one in import_sets(folder, rows=n)} for n in (100, 200))
    assert some["cued"] == some["plain"]
    assert len(some["plain"]) == 100
    assert some["plain"].items() <= more["plain"].items()


@pytest.mark.parametrize("division", [0, 1])
def test_near_identical_queries_share_their_part(tmp_path: Path, division: int) -> None:
    asked = questions(200, about="home")
    write_outcomes(tmp_path / "twice.jsonl", [*asked, *(f"{text.upper()} …" for text in asked)])
    table = read_table(import_sets(str(tmp_path), divisions=2)[0].divisions[division])
    assert table.num_rows == 400
    found: dict[str, set[str]] = {}
    for cluster, part in zip(table["cluster"].to_pylist(), table["part"].to_pylist(), strict=True):
        found.setdefault(cluster, set()).add(part)
    assert len(found) == 200
    assert all(len(parts_of) == 1 for parts_of in found.values())


def test_every_division_deals_the_same_rows_anew_and_the_first_is_that_of_all_commands(folder: str) -> None:
    alone, (one, *_), sets = import_sets(folder)[0], import_sets(folder, divisions=3), import_sets(folder, divisions=2)
    assert one.rows == alone.rows
    tests = [{query for query, part in parts(one, d).items() if part == "test"} for d in range(3)]
    texts = dict(zip(*(read_table(one.rows)[name].to_pylist() for name in ("query_id", "query")), strict=True))
    assert tests[0] == {query for query, text in texts.items() if split_of(text) == "test"}
    assert parts(one).keys() == parts(one, 1).keys() == parts(one, 2).keys()
    for a, b in ((0, 1), (0, 2), (1, 2)):
        # 30 % of 30 % of 250, were they dealt independently
        assert 10 <= len(tests[a] & tests[b]) <= 36
    cued, plain = sets[1:]
    assert parts(cued, 1) == parts(plain, 1) != parts(plain)


def test_grades_and_costs_are_those_of_the_file(tmp_path: Path) -> None:
    rows = [
        {"query": "Sum?", "medium_label": 0, "large_label": 1, "medium_cost_usd": 0.1, "large_cost_usd": 2},
        {"query": "Why?", "medium_label": 1, "large_label": "NOT_ATTEMPTED"},
    ]
    write_jsonl(tmp_path / "a.jsonl", rows)
    table = read_table(import_sets(str(tmp_path))[0].rows).sort_by("query")
    assert table["medium_grade"].to_pylist() == ["INCORRECT", "CORRECT"]
    assert table["large_grade"].to_pylist() == ["CORRECT", "NOT_ATTEMPTED"]
    assert table["large_cost_usd"].to_pylist() == [2.0, None]


def test_the_first_of_two_equal_questions_stays(tmp_path: Path) -> None:
    write_outcomes(tmp_path / "a.jsonl", ["Why?", "How?\nAnswer:", "Why?\nAnswer:"])
    assert sorted(read_table(import_sets(str(tmp_path))[0].rows)["query"].to_pylist()) == ["How?", "Why?"]
    assert question_of("Answer:") == "Answer:"  # nothing would be left


def test_other_files_are_passed_over_unless_they_are_asked_for(folder: str, caplog: pytest.LogCaptureFixture) -> None:
    write_jsonl(Path(folder) / "queries.jsonl", [{"query": "What?"}])
    (Path(folder) / "README.md").write_text("not data")
    with caplog.at_level(logging.WARNING):
        assert len(import_sets(folder)) == 3
    assert "queries.jsonl holds no outcomes" in caplog.text
    with pytest.raises(MissingColumn):
        import_sets(folder, names=["queries"])


def test_says_what_is_missing(folder: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownSet, match=r"no set 'gone' in .*; choose one of those it holds: cued, other, plain"):
        import_sets(folder, names=["gone"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoOutcomes, match="holds no outcomes"):
        import_sets(str(tmp_path / "empty"))
    with pytest.raises(InputMissing):
        import_sets(str(tmp_path / "nowhere"))


def test_one_question_under_two_contexts_is_two_rows(tmp_path: Path) -> None:
    rows = [
        {"query": "Sum?", "context": c, "medium_label": m, "large_label": 1} for c, m in (("1", 1), ("2", 0), ("1", 0))
    ]
    write_jsonl(tmp_path / "a.jsonl", rows)
    found = read_table(import_sets(str(tmp_path))[0].rows)
    assert sorted(found["true_policy"].to_pylist()) == ["Complex_Query", "Standard_Query"]
    assert len(set(found["cluster"].to_pylist())) == 1
