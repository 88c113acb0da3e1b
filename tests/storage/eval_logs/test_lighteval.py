import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from routecal.storage.eval_logs.errors import ChoiceNeeded, LogsDiffer, LogUnfinished, LogUnreadable, SampleUnusable
from routecal.storage.eval_logs.formats import open_log
from routecal.storage.eval_logs.merge import merge
from routecal.storage.eval_logs.sample import Choice
from routecal.storage.input_errors import InputMissing

DATA = Path(__file__).parent / "data" / "lighteval"
EM = Choice(scorer="em")


def real(model, task):
    return str(next((DATA / "details" / "example" / model).glob(f"*/details_{task}_*.parquet")))


def changed(path, tmp_path, **columns):
    """The file with other columns: lists, or None to leave one out."""
    table = pq.read_table(path)
    for name, values in columns.items():
        table = table.drop_columns(name)
        table = table if values is None else table.append_column(name, pa.array(values))
    pq.write_table(table, tmp_path / "x.parquet")
    return str(tmp_path / "x.parquet")


def test_a_log_says_its_model_and_task():
    log = open_log("lighteval", real("medium", "capitals"))
    assert (log.tool, log.model, log.task, log.scorer) == ("lighteval", "example/medium", "capitals", "acc")


def test_choices_that_were_ranked_stand_below_the_question():
    # The tool asks in an order of its own.
    first, *others = sorted(open_log("lighteval", real("medium", "capitals")).samples, key=lambda one: str(one.id))
    assert first.query == "What is the capital of France?\nA) Lyon\nB) Paris\nC) Nice"
    assert (first.id, first.target, first.answer, first.tokens_in, first.tokens_out) == ("0", "B", None, 7, None)
    assert [one.id for one in others] == ["1", "2", "3", "4", "5"]


def test_a_question_to_be_answered_in_words_is_without_its_instruction():
    read = sorted(open_log("lighteval", real("medium", "sums"), EM).samples, key=lambda one: str(one.id))
    assert [(one.query, one.target) for one in read[:2]] == [
        ("What is 1 + 1?", "2"),
        ("What does one type when one laughs?", "lol"),
    ]
    assert all(one.score == (one.answer == one.target) for one in read)
    assert [(one.tokens_in, one.tokens_out) for one in read] == [
        (len(f"Answer in one word. {one.query}".split()), len(one.answer)) for one in read
    ]


@pytest.mark.parametrize(("task", "n"), [("capitals", 6), ("sums", 4)])
def test_two_models_become_one_table(tmp_path, task, n):
    choice = EM if task == "sums" else Choice()
    merged = merge(
        *(open_log("lighteval", real(model, task), choice) for model in ("medium", "large")),
        str(tmp_path / "x.parquet"),
    )
    assert (merged.key, merged.n) == ("id", n)
    table = pq.read_table(tmp_path / "x.parquet")
    for model in ("medium", "large"):
        said = [one[merged.medium.log.scorer] for one in pq.read_table(real(model, task))["metric"].to_pylist()]
        assert table[f"{model}_label"].to_pylist() == ["CORRECT" if one == 1 else "INCORRECT" for one in said]


@pytest.mark.parametrize("named", [None, "other"])
def test_several_scores_ask_for_one(named):
    with pytest.raises(ChoiceNeeded, match="--scorer") as error:
        open_log("lighteval", real("medium", "sums"), Choice(scorer=named))
    assert sorted(error.value.names) == ["em", "f1"]


def test_grades_of_two_scorers_do_not_compare(tmp_path):
    logs = [open_log("lighteval", real(m, "sums"), Choice(scorer=s)) for m, s in (("medium", "em"), ("large", "f1"))]
    with pytest.raises(LogsDiffer, match="em and f1"):
        merge(*logs, str(tmp_path / "x.parquet"))


def test_another_model_than_the_one_named():
    with pytest.raises(ChoiceNeeded, match="example/medium"):
        open_log("lighteval", real("medium", "capitals"), Choice(model="other"))


def test_a_file_taken_out_of_its_folders(tmp_path):
    path = changed(real("medium", "capitals"), tmp_path)
    log = open_log("lighteval", path, Choice(model="mine"))
    assert (log.model, log.task) == ("mine", None)


def test_folders_name_the_model_where_there_are_no_results(tmp_path):
    date = "2026-01-02T03-04-05.6"
    folder = tmp_path / "details" / "org" / "model" / date
    folder.mkdir(parents=True)
    file = shutil.copy(real("medium", "capitals"), folder / f"details_some|task|0_{date}.parquet")
    log = open_log("lighteval", str(file))
    assert (log.model, log.task) == ("org/model", "some|task|0")


def test_the_field_that_the_user_names():
    path = real("medium", "sums")
    assert all(one.query == one.id for one in open_log("lighteval", path, EM._replace(query_field="id")).samples)
    with pytest.raises(SampleUnusable, match=r"no field 'other'; its fields are .*query"):
        next(open_log("lighteval", path, EM._replace(query_field="other")).samples)


def test_scores_that_are_no_number(tmp_path):
    path = changed(real("medium", "capitals"), tmp_path, metric=[{"acc": float("nan")}] * 6)
    logs = open_log("lighteval", path), open_log("lighteval", real("large", "capitals"))
    with pytest.raises(SampleUnusable, match="row 1"):
        merge(*logs, str(tmp_path / "y.parquet"))


def test_a_file_that_is_cut(tmp_path):
    (tmp_path / "x.parquet").write_bytes(Path(real("medium", "capitals")).read_bytes()[:-50])
    with pytest.raises(LogUnfinished, match="no end"):
        open_log("lighteval", str(tmp_path / "x.parquet"))


@pytest.mark.parametrize(("held", "reason"), [(b"", "empty"), (b'{"doc_id": 0}', "no Parquet file")])
def test_other_files(tmp_path, held, reason):
    (tmp_path / "x.parquet").write_bytes(held)
    with pytest.raises(LogUnreadable, match=reason):
        open_log("lighteval", str(tmp_path / "x.parquet"))


@pytest.mark.parametrize("name", ["doc", "metric", "model_response"])
def test_other_layouts(tmp_path, name):
    with pytest.raises(LogUnreadable, match=f"no column '{name}' of fields"):
        open_log("lighteval", changed(real("medium", "capitals"), tmp_path, **{name: None}))


def test_no_file(tmp_path):
    with pytest.raises(InputMissing):
        open_log("lighteval", str(tmp_path / "no.parquet"))
    with pytest.raises(LogUnreadable, match="folder"):
        open_log("lighteval", str(tmp_path))
