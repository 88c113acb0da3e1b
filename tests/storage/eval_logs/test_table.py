"""A table of graded samples, of one model or of several."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from routecal.storage.column_names import mapping_of
from routecal.storage.errors import StorageError
from routecal.storage.eval_logs.errors import ChoiceNeeded, LogsDiffer, RuleNeeded, SampleUnusable
from routecal.storage.eval_logs.formats import open_log
from routecal.storage.eval_logs.merge import merge
from routecal.storage.eval_logs.sample import TABLE_COLUMNS, Choice
from routecal.storage.input_errors import InputEmpty, InputMissing, MissingColumn, WrongMapping

BOTH = """id,query,score,model,tokens_out,cost_usd,answer,repeat
1,What is 1 + 1?,1,small,5,0.25,2,0
2,What is 2 + 2?,0,small,5,0.25,5,0
2,What is 2 + 2?,1,small,5,0.25,4,1
1,What is 1 + 1?,1,big,9,2.5,two,
2,What is 2 + 2?,true,big,9,2.5,four,
"""


def written(folder: Path, content: str, name: str = "log.csv") -> str:
    (folder / name).write_text(content, encoding="utf-8")
    return str(folder / name)


def test_a_table_of_two_models_is_both_logs(tmp_path: Path) -> None:
    path, output = written(tmp_path, BOTH), str(tmp_path / "o.parquet")
    merged = merge(*(open_log("table", path, Choice(model=name)) for name in ("small", "big")), output)
    assert (merged.n, merged.key, merged.n_repeated) == (2, "id", 1)
    rows = pq.read_table(output).to_pylist()
    assert [row["medium_label"] for row in rows] == ["CORRECT", "INCORRECT"]
    assert [row["medium_share_right"] for row in rows] == [1.0, 0.5]
    assert [(row["large_label"], row["large_answer"], row["large_cost_usd"]) for row in rows] == [
        ("CORRECT", "two", 2.5),
        ("CORRECT", "four", 2.5),
    ]
    assert [row["medium_tokens_out"] for row in rows] == [5, 5]


def test_columns_of_other_names(tmp_path: Path) -> None:
    path = written(tmp_path, '{"q": "Why?", "is_right": true, "took": 7}\n', "log.jsonl")
    log = open_log("table", path, Choice(columns={"query": "q", "score": "is_right", "tokens_in": "took"}))
    sample = next(log.samples)
    assert (sample.place, sample.query, sample.score, sample.tokens_in) == ("line 1", "Why?", True, 7)
    assert (log.model, log.task, sample.id, sample.repeat) == (None, None, None, 0)


def test_several_models_need_a_choice(tmp_path: Path) -> None:
    path = written(tmp_path, BOTH)
    for named, said in ((None, "holds 2 models"), ("huge", "no 'huge' among its models")):
        with pytest.raises(ChoiceNeeded, match=said):
            open_log("table", path, Choice(model=named))
    with pytest.raises(LogsDiffer, match="both are of the model big"):
        merge(*(open_log("table", path, Choice(model="big")) for _ in range(2)), str(tmp_path / "o.parquet"))


@pytest.mark.parametrize(
    ("content", "name", "error"),
    [
        ("query,grade\nWhy?,1\n", "log.csv", MissingColumn),
        ("score,model\n1,a\n", "log.csv", MissingColumn),
        ("query,score\n", "log.csv", InputEmpty),
        ('{"query": "Why?", "score": 1}\n{"query": "Wh', "log.jsonl", StorageError),
        ('{"query": ["Why?"], "score": 1}\n', "log.jsonl", StorageError),
        ("hello", "log.eval", StorageError),
        ("query,score\nWhy?,0.5\n", "log.csv", RuleNeeded),
        ("query,score\nWhy?,nan\n", "log.csv", SampleUnusable),
        ("query,score\nWhy?,good\n", "log.csv", SampleUnusable),
        ("query,score\n,1\n", "log.csv", SampleUnusable),
        ("query,score,tokens_in\nWhy?,1,many\n", "log.csv", SampleUnusable),
        ("query,score,repeat\nWhy?,1,-1\n", "log.csv", SampleUnusable),
    ],
)
def test_what_cannot_be_used_is_a_sentence_and_no_file(
    content: str, name: str, error: type[StorageError], tmp_path: Path
) -> None:
    path, good = written(tmp_path, content, name), written(tmp_path, "query,score\nWhy?,1\n", "good.csv")
    output = tmp_path / "o.parquet"
    with pytest.raises(error) as refused:
        merge(open_log("table", good), open_log("table", path), str(output))
    assert isinstance(refused.value, StorageError)
    assert not output.exists()


def test_a_mapping_of_a_column_that_is_none_of_ours() -> None:
    with pytest.raises(WrongMapping, match="'grade' is not one of our columns"):
        mapping_of("grade=score", TABLE_COLUMNS)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputMissing):
        open_log("table", str(tmp_path / "no.csv"))
