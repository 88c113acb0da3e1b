import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from routecal.storage.eval_logs.errors import (
    ChoiceNeeded,
    LogsDiffer,
    LogUnfinished,
    LogUnreadable,
    RuleNeeded,
    SampleUnusable,
)
from routecal.storage.eval_logs.formats import open_log
from routecal.storage.eval_logs.merge import merge
from routecal.storage.eval_logs.sample import Choice
from routecal.storage.input_errors import InputMissing

DATA = Path(__file__).parent / "data" / "lm_eval"
ACC = Choice(scorer="acc")


def real(model, task):
    return str(next((DATA / f"example__{model}").glob(f"samples_{task}_*.jsonl")))


def write(path, *lines, end="\n"):
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines) + end)
    return str(path)


def line(i=0, doc=None, **more):
    doc = {"question": f"What is {i}?"} if doc is None else doc
    return {"doc_id": i, "doc": doc, "filter": "none", "metrics": ["acc"], "acc": 1.0} | more


def samples(path, choice=None):
    return list(open_log("lm-eval", path, choice).samples)


def test_a_log_says_its_model_task_version_and_score():
    log = open_log("lm-eval", real("medium", "capitals"), ACC)
    assert (log.tool, log.model, log.task) == ("lm-evaluation-harness 0.4.13", "example/medium", "capitals")
    assert log.scorer == "acc,none"


def test_choices_stand_below_the_question_and_the_answer_is_a_letter():
    first, *others = samples(real("medium", "capitals"), ACC)
    assert first.query == "What is the capital of France?\nA) Lyon\nB) Paris\nC) Nice"
    assert (first.id, first.target, first.answer, first.place) == ("0", "B", None, "line 1")
    assert [one.id for one in others] == ["1", "2", "3", "4", "5"]


def test_two_models_become_one_table(tmp_path):
    output = tmp_path / "outcomes.parquet"
    logs = [open_log("lm-eval", real(model, "capitals"), ACC) for model in ("medium", "large")]
    merged = merge(*logs, str(output))
    assert (merged.key, merged.n) == ("id", 6)
    table = pq.read_table(output)
    names = {1.0: "CORRECT", 0.0: "INCORRECT"}
    for model in ("medium", "large"):
        said = [names[json.loads(one)["acc"]] for one in Path(real(model, "capitals")).read_text().splitlines()]
        assert table[f"{model}_label"].to_pylist() == said
        assert set(said) == {"CORRECT", "INCORRECT"}
        assert table[f"{model}_tokens_in"].null_count == 6
    assert table["id"].to_pylist() == list("012345")
    assert table["medium_model"][0].as_py() == "example/medium"
    assert table["label_source"][0].as_py() == "lm-evaluation-harness 0.4.13, capitals, acc,none"


def test_lines_of_other_filters_are_no_samples():
    chosen = samples(real("medium", "laughter"), Choice(scorer="exact_match,flexible-extract"))
    assert [(one.id, one.score, one.target, one.answer) for one in chosen] == [
        ("0", 0.0, "2", "lol"),
        ("1", 1.0, "lol", "lol"),
        ("2", 0.0, "7", "lol"),
        ("3", 1.0, "lol", "lol"),
    ]
    assert [one.score for one in samples(real("medium", "laughter"), Choice(scorer="exact_match,strict-match"))] == [
        0.0
    ] * 4


@pytest.mark.parametrize("named", [None, "exact_match"])
def test_several_filters_ask_for_one(named):
    with pytest.raises(ChoiceNeeded, match=r"exact_match,strict-match.*exact_match,flexible-extract|--scorer") as error:
        samples(real("medium", "laughter"), Choice(scorer=named))
    assert sorted(error.value.names) == ["exact_match,flexible-extract", "exact_match,strict-match"]


@pytest.mark.parametrize("named", [None, "f1"])
def test_several_metrics_ask_for_one(named):
    with pytest.raises(ChoiceNeeded, match="--scorer") as error:
        open_log("lm-eval", real("medium", "capitals"), Choice(scorer=named))
    assert error.value.names == ["acc,none", "acc_norm,none"]


def test_grades_of_two_scorers_do_not_compare(tmp_path):
    medium = open_log("lm-eval", real("medium", "capitals"), ACC)
    large = open_log("lm-eval", real("large", "capitals"), Choice(scorer="acc_norm"))
    with pytest.raises(LogsDiffer, match="acc,none and acc_norm,none"):
        merge(medium, large, str(tmp_path / "x.parquet"))


def test_another_model_than_the_one_named():
    with pytest.raises(ChoiceNeeded, match="example/medium"):
        open_log("lm-eval", real("medium", "capitals"), Choice(model="other", scorer="acc"))


def test_a_log_without_results_beside_it_has_the_name_that_the_user_gives(tmp_path):
    path = write(tmp_path / "x.jsonl", line())
    log = open_log("lm-eval", path, Choice(model="mine"))
    assert (log.tool, log.model, log.task) == ("lm-evaluation-harness", "mine", None)
    assert open_log("lm-eval", path).model is None


def test_results_that_are_damaged(tmp_path):
    path = write(tmp_path / "samples_a_b_2026-01-02T03-04-05.6.jsonl", line())
    assert open_log("lm-eval", path).task == "a_b"
    (tmp_path / "results_2026-01-02T03-04-05.6.json").write_text("{")
    with pytest.raises(LogUnreadable, match=r"results_2026-01-02T03-04-05\.6\.json"):
        open_log("lm-eval", path)


@pytest.mark.parametrize(
    ("doc", "query"),
    [
        ({"Problem": "1 + 1"}, "1 + 1"),
        ({"text": "b", "query": "a"}, "a"),
        ({"question": "q", "options": ["x", "y"]}, "q\nA) x\nB) y"),
        ({"question_stem": "q", "choices": {"label": ["1", "2"], "text": ["x", "y"]}}, "q\nA) x\nB) y"),
    ],
)
def test_usual_names_of_the_question(tmp_path, doc, query):
    assert samples(write(tmp_path / "x.jsonl", line(doc=doc)))[0].query == query


@pytest.mark.parametrize("named", ["ctx", "doc.ctx"])
def test_the_field_that_the_user_names(tmp_path, named):
    path = write(tmp_path / "x.jsonl", line(doc={"question": "q", "ctx": "c"}))
    assert samples(path, Choice(query_field=named))[0].query == "c"


@pytest.mark.parametrize(
    ("doc", "field", "reason"),
    [
        ({"premise": "p", "label": 1}, None, r"usual name of a question; its fields are premise, label.*--query-field"),
        ({"question": "q"}, "ctx", "no field 'ctx'; its fields are question"),
        ({"question": ["q"]}, None, "'question' is no text"),
    ],
)
def test_a_field_that_is_missing(tmp_path, doc, field, reason):
    with pytest.raises(SampleUnusable, match=reason):
        samples(write(tmp_path / "x.jsonl", line(doc=doc)), Choice(query_field=field))


def test_versions_that_did_not_list_their_metrics(tmp_path):
    one = {"doc_id": 3, "doc": {"question": "q"}, "target": "t", "resps": [["r", "s"]], "doc_hash": "h", "em": True}
    (sample,) = samples(write(tmp_path / "x.jsonl", one))
    assert (sample.score, sample.id, sample.answer, sample.target) == (True, "3", "r", "t")


def test_a_score_that_a_line_lacks(tmp_path):
    one = line(1)
    del one["acc"]
    with pytest.raises(SampleUnusable, match="line 2: it has no score 'acc'"):
        samples(write(tmp_path / "x.jsonl", line(), one))


@pytest.mark.parametrize(
    ("score", "error"),
    [(float("nan"), SampleUnusable), ([0, 1], SampleUnusable), (0.5, RuleNeeded), ("?", SampleUnusable)],
)
def test_scores_that_are_no_grade(tmp_path, score, error):
    logs = [
        open_log("lm-eval", write(tmp_path / f"{name}.jsonl", line(0), line(1, acc=score)), Choice(model=name))
        for name in ("m", "l")
    ]
    with pytest.raises(error, match="line 2"):
        merge(*logs, str(tmp_path / "x.parquet"))
    assert not (tmp_path / "x.parquet").exists()


def test_a_file_that_is_cut(tmp_path):
    text = Path(real("medium", "capitals")).read_text()
    (tmp_path / "x.jsonl").write_text(text[:-40])
    with pytest.raises(LogUnfinished, match="line 6"):
        samples(str(tmp_path / "x.jsonl"), ACC)


def test_a_last_line_without_its_end_is_whole(tmp_path):
    assert len(samples(write(tmp_path / "x.jsonl", line(), "", line(1), end=""))) == 2


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([line(), "{x", line()], "line 2 is no JSON"),
        (["PAR1"], "line 1 is no JSON"),
        (["[1]"], "line 1 has no doc and doc_id"),
        ([{"results": {}}], "line 1 has no doc and doc_id"),
        ([""], "empty"),
    ],
)
def test_other_files(tmp_path, lines, reason):
    with pytest.raises(LogUnreadable, match=reason):
        samples(write(tmp_path / "x.jsonl", *lines))


def test_no_file(tmp_path):
    with pytest.raises(InputMissing):
        open_log("lm-eval", str(tmp_path / "no.jsonl"))
    with pytest.raises(LogUnreadable, match="folder"):
        open_log("lm-eval", str(tmp_path))
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(LogUnreadable, match="empty"):
        open_log("lm-eval", str(tmp_path / "empty.jsonl"))
