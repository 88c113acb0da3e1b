import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from routecal.storage.eval_logs.errors import (
    ChoiceNeeded,
    LogsDiffer,
    LogUnfinished,
    LogUnreadable,
    NothingGraded,
    SampleUnusable,
)
from routecal.storage.eval_logs.formats import open_log
from routecal.storage.eval_logs.merge import merge
from routecal.storage.eval_logs.sample import Choice
from routecal.storage.input_errors import InputMissing

DATA = Path(__file__).parent / "data" / "helm"
EXACT = Choice(scorer="exact_match")
SPEC, STATE, STATS = "run_spec.json", "scenario_state.json", "per_instance_stats.json"


@pytest.fixture
def run(tmp_path):
    shutil.copytree(DATA / "medium", tmp_path / "run")
    return tmp_path / "run"


def change(file, by):
    held = json.loads(file.read_text())
    by(held)
    file.write_text(json.dumps(held))


def score(stats, name, mean):
    next(stat for stat in stats["stats"] if stat["name"]["name"] == name)["mean"] = mean


def test_a_run_says_its_model_task_and_score():
    log = open_log("helm", str(DATA / "medium"), EXACT)
    assert (log.tool, log.model, log.task, log.scorer) == ("HELM", "example/medium", "simple_mcqa", "exact_match")


def test_the_question_is_without_the_prompt_and_its_examples():
    first, *others = open_log("helm", str(DATA / "medium"), EXACT).samples
    assert first.query == "Is 70 even or odd?\nA) Even\nB) Odd"
    assert (first.id, first.target, first.answer, first.score) == ("id60", "A", "B", 0.0)
    assert (first.tokens_in, first.tokens_out, first.repeat) == (385, 1, 0)
    assert [one.id for one in others] == ["id38", "id41", "id74", "id56", "id80"]


def test_two_models_become_one_table(tmp_path):
    logs = [open_log("helm", str(DATA / model), EXACT) for model in ("medium", "large")]
    merged = merge(*logs, str(tmp_path / "x.parquet"))
    assert (merged.key, merged.n) == ("id", 6)
    rows = pq.read_table(tmp_path / "x.parquet").to_pylist()
    for row in rows:
        for model in ("medium", "large"):
            is_right = row[f"{model}_answer"] == row["ground_truth"]
            assert row[f"{model}_label"] == ("CORRECT" if is_right else "INCORRECT")
            assert row[f"{model}_tokens_in"] > 300
    assert {row["medium_label"] for row in rows} == {row["large_label"] for row in rows} == {"CORRECT", "INCORRECT"}


@pytest.mark.parametrize("named", [None, "f1"])
def test_several_scores_ask_for_one(named):
    with pytest.raises(ChoiceNeeded, match="--scorer") as error:
        open_log("helm", str(DATA / "medium"), Choice(scorer=named))
    assert error.value.names == [
        f"{kind}{at}"
        for kind in ("exact_match", "quasi_exact_match", "prefix_exact_match", "quasi_prefix_exact_match")
        for at in ("", "@5")
    ]


def test_grades_of_two_scorers_do_not_compare(tmp_path):
    large = open_log("helm", str(DATA / "large"), Choice(scorer="quasi_exact_match"))
    with pytest.raises(LogsDiffer, match="exact_match and quasi_exact_match"):
        merge(open_log("helm", str(DATA / "medium"), EXACT), large, str(tmp_path / "x.parquet"))


def test_another_model_than_the_one_named():
    with pytest.raises(ChoiceNeeded, match="example/medium"):
        open_log("helm", str(DATA / "medium"), Choice("other", "exact_match"))


def test_the_model_is_no_part_of_the_task(run):
    name = "mmlu:subject=anatomy,method=multiple_choice_joint,model=openai_gpt-4"
    change(run / SPEC, lambda spec: spec.update(name=name))
    assert open_log("helm", str(run), EXACT).task == "mmlu:subject=anatomy,method=multiple_choice_joint"


def test_perturbed_instances_are_left_out(run):
    changed = {"name": "typos", "robustness": True, "fairness": False, "computed_on": "perturbed"}
    change(run / STATE, lambda state: state["request_states"][0]["instance"].update(perturbation=changed))
    change(run / STATS, lambda stats: stats[0].update(perturbation=changed))
    assert [one.id for one in open_log("helm", str(run), EXACT).samples] == ["id38", "id41", "id74", "id56", "id80"]


def test_scores_of_one_answer_may_be_listed_apart(run):
    def split(stats):
        first = stats.pop(0)
        for part in (slice(3), slice(3, None)):
            stats.append(first | {"stats": first["stats"][part]})

    change(run / STATS, split)
    assert next(open_log("helm", str(run), EXACT).samples).tokens_in == 385
    assert next(open_log("helm", str(run), EXACT).samples).score == 0.0


def test_a_trial_is_one_more_answer_and_a_reference_is_none(run):
    def again(state):
        first = state["request_states"][0]
        state["request_states"] += [first | {"reference_index": 1}, first | {"train_trial_index": 1}]

    change(run / STATE, again)
    change(run / STATS, lambda stats: stats.append(stats[0] | {"train_trial_index": 1}))
    read = [(one.id, one.repeat, one.score) for one in open_log("helm", str(run), EXACT).samples]
    assert len(read) == 7
    assert read[-1] == ("id60", 1, 0.0)


def test_a_request_that_failed(run):
    failed = {"success": False, "error": "no answer", "completions": []}
    change(run / STATE, lambda state: state["request_states"][0].update(result=failed))
    first = next(open_log("helm", str(run), EXACT).samples)
    assert (first.error, first.answer) == ("no answer", None)


def test_a_score_that_helm_left_out(run, tmp_path):
    def without(stats):
        for one in stats[:1]:
            one["stats"] = [stat for stat in one["stats"] if stat["name"]["name"] != "exact_match"]

    change(run / STATS, without)
    merged = merge(
        open_log("helm", str(run), EXACT), open_log("helm", str(DATA / "large"), EXACT), str(tmp_path / "x.parquet")
    )
    assert (merged.medium.n_unscored, merged.n) == (1, 5)


def test_scores_that_are_no_number(run, tmp_path):
    change(run / STATS, lambda stats: score(stats[1], "exact_match", float("nan")))
    with pytest.raises(SampleUnusable, match="request 2"):
        merge(
            open_log("helm", str(run), EXACT), open_log("helm", str(DATA / "large"), EXACT), str(tmp_path / "x.parquet")
        )


def test_a_run_without_scores_of_what_was_asked(run, tmp_path):
    change(run / STATS, lambda stats: [one.update(instance_id=f"x{i}") for i, one in enumerate(stats)])
    with pytest.raises(NothingGraded):
        merge(
            open_log("helm", str(run), EXACT), open_log("helm", str(DATA / "large"), EXACT), str(tmp_path / "x.parquet")
        )


def test_a_question_in_another_field(run):
    change(
        run / STATE,
        lambda state: [one["instance"].update(extra_data={"raw": "Odd?"}) for one in state["request_states"]],
    )
    first = next(open_log("helm", str(run), EXACT._replace(query_field="raw")).samples)
    assert first.query == "Odd?\nA) Even\nB) Odd"
    with pytest.raises(SampleUnusable, match="no field 'other'; its fields are raw, text"):
        next(open_log("helm", str(run), EXACT._replace(query_field="other")).samples)


@pytest.mark.parametrize("name", [SPEC, STATE, STATS])
def test_files_that_are_cut_or_empty(run, name):
    whole = (run / name).read_text()
    for text in (whole[:-9], ""):
        (run / name).write_text(text)
        with pytest.raises(LogUnreadable, match=name):
            list(open_log("helm", str(run), EXACT).samples)


@pytest.mark.parametrize(("name", "error"), [(SPEC, LogUnreadable), (STATE, LogUnreadable), (STATS, LogUnfinished)])
def test_files_that_are_missing(run, name, error):
    (run / name).unlink()
    with pytest.raises(error, match=name):
        list(open_log("helm", str(run), EXACT).samples)


@pytest.mark.parametrize(
    ("name", "held"),
    [(SPEC, []), (SPEC, {}), (STATE, []), (STATE, {"request_states": [{}]}), (STATS, {"a": 1}), (STATS, 3)],
)
def test_files_that_hold_something_else(run, name, held):
    (run / name).write_text(json.dumps(held))
    with pytest.raises((LogUnreadable, SampleUnusable), match=name):
        list(open_log("helm", str(run), EXACT).samples)


def test_no_folder(run):
    with pytest.raises(InputMissing):
        open_log("helm", str(run / "no"))
    with pytest.raises(LogUnreadable, match="no folder"):
        open_log("helm", str(run / SPEC))
