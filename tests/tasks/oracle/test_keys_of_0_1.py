"""Requests keep the keys, and jobs the names, that version 0.1 stored their answers and their costs under.

The hexadecimal digits were computed by 0.1 itself. A prompt that is reworded changes those of its calls, on purpose.
"""

import pytest

from routecal.flows import label as label_flow
from routecal.flows.label import oracle_of, pace_of
from routecal.flows.oracle_params import LabelParams
from routecal.storage.artifact import Artifact
from routecal.tasks.oracle.call import Call
from routecal.tasks.oracle.grading.answering import answer_call, with_more_room
from routecal.tasks.oracle.grading.decision_judge import decision_call
from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec, Seat
from routecal.tasks.oracle.grading.model_judge import Case, judge_call

QUERY, TRUTH, ANSWER = "Who wrote Buddenbrooks?", "Thomas Mann", "It was Mann."
LOCAL, QWEN = "openai:http://127.0.0.1:8000/v1", ModelSpec(model="qwen3:4b", thinking_level=None)
FLASH = ModelSpec(model="gemini-3.8-flash")


def judging(provider: str, spec: ModelSpec, seat: Seat) -> Call:
    return judge_call(Case(QUERY, (TRUTH,), ANSWER, provider), spec=spec, seat=seat)


QWEN_ANSWERS = answer_call(QUERY, spec=QWEN, provider=LOCAL, role="medium")

CALLS = {
    "1f050a9e0e5c2ddb98603e46fcd59ede6036886c878c7edb8ba99abe6172663a": QWEN_ANSWERS,
    "24ad04a5062347df6734b4f62d933cda58299fa076a1b9b283c4c98db8f9d502": with_more_room(QWEN_ANSWERS),
    "0f524586abab18995147d4182ec6fd6a9d8c571786f15296ee77c76a7abac690": judging(LOCAL, QWEN, "first"),
    "640c59948003a5952c405a4fb4e071409c910fc3eaa589142716674086b7e021": answer_call(
        QUERY, spec=FLASH, provider="gemini", role="large"
    ),
    "fdf28d6a5220bc99110ce8fc505661d364286ad6e205b1e8d2aa27c71a423b11": judging("gemini", FLASH, "first"),
    "56297b993d09fd3787fdc30368f11a560bb4d627e5ba1402934dd05ab44e4473": judging("gemini", FLASH, "second"),
    "2589fa47feb349aeb1967fbe6baf552f9f5a64aa2e5eda1e52f72c2728e342eb": judging("gemini", FLASH, "third"),
    "b9b0376f1c85c5450aa755fecd4f22f4d7751664e4d313089903bbe59526e3e9": decision_call(
        QUERY, [TRUTH], [ANSWER], model="gemini-decision-1", provider="gemini"
    ),
}


@pytest.mark.parametrize("key", CALLS)
def test_a_call_has_the_key_it_had(key: str) -> None:
    assert CALLS[key].key == key


def test_a_job_has_the_name_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    # What of the queries names a job is held in tests/tasks/test_old_tables.py.
    monkeypatch.setattr(label_flow, "digest_for_job", lambda rows: rows.sha256)
    params = LabelParams(queries="q", oracle="gemini", second_judge="gemini-4-hydrogen")
    queries = Artifact(uri="file:///x", sha256="0" * 64, rows=1, kind="queries")
    assert pace_of(params, queries, oracle_of(params, "q")).job == "361aa75a8b0b58a2"
    other = params.model_copy(update={"judge_json": "object"})
    assert pace_of(other, queries, oracle_of(other, "q")).job != "361aa75a8b0b58a2"


def test_each_form_of_replies_is_a_request_of_its_own() -> None:
    keys = {
        judge_call(Case(QUERY, (TRUTH,), ANSWER, LOCAL, form), spec=QWEN, seat="first").key
        for form in ("schema", "object", "prompt")
    }
    assert len(keys) == 3
    assert JudgeSpec(first=QWEN, form="object").model_dump()["form"] == "object"
    assert "form" not in JudgeSpec(first=QWEN).model_dump()
