"""The files of batch jobs: requests as they are sent online, results in whatever state they come."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from routecal.tasks.oracle.batch.job_files import JobLine, Tag, Torn, read_lines, write_lines
from routecal.tasks.oracle.call import Call
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.engine.stop_reasons import BatchNotServed
from routecal.tasks.oracle.gemini_oracle import ORACLE as GEMINI
from routecal.tasks.oracle.grading.answering import answer_call, with_more_room
from routecal.tasks.oracle.grading.judging import ModelSpec
from routecal.tasks.oracle.grading.model_judge import Case, judge_call
from routecal.tasks.oracle.openai_oracle import ORACLE as OPENAI
from routecal.tasks.oracle.providers.gemini import Gemini
from tests.gemini_server.server import GeminiServer
from tests.gemini_server.wire import read_generate
from tests.tasks.oracle.gemini_calls import ask, sent
from tests.tasks.oracle.labelling import oracle_of

SPEC = ModelSpec(model="m-lines")
WORDS = 'Wie heißt "湖" — 🏔?\n\u2028\r\t\\ \x00'
ANSWER = answer_call(WORDS, spec=SPEC, provider="gemini", role="medium")
JUDGEMENT = judge_call(Case(WORDS, ("a", "b"), "an answer", "gemini"), spec=SPEC, seat="first")


@pytest.mark.parametrize(
    "call",
    [
        ANSWER,
        with_more_room(ANSWER),
        JUDGEMENT,
        ask("m-lines", system="", config={"max_output_tokens": 9, "thinking_level": None}),
        ask("models/m-lines"),
    ],
    ids=["answer", "roomier", "judgement", "without thinking", "by its path"],
)
def test_a_line_holds_the_request_that_goes_online(
    call: Call, server: GeminiServer, gemini: Gemini, tmp_path: Path
) -> None:
    sent(gemini, call)
    alone = server.seen[-1]
    assert write_lines([call], tmp_path / "lines") == 1
    [text] = (tmp_path / "lines").read_bytes().splitlines()
    line = json.loads(text)
    assert line["request"] == alone.body
    assert read_generate(call.model, line["request"]).digest == alone.digest
    assert Tag.read(line["key"]) == (call.key, call.stage, call.prompt_version)
    assert line.keys() == {"key", "request"}


def test_a_file_is_full_before_it_is_too_large(tmp_path: Path) -> None:
    calls = [ask("m", prompt=f"{i} {'x' * 500}") for i in range(20)]
    path = tmp_path / "lines"
    n = write_lines(calls, path, max_bytes=5000)
    assert 1 < n < 20
    assert path.stat().st_size <= 5000 < path.stat().st_size * (n + 1) / n
    keys = [json.loads(line)["key"].split()[0] for line in path.read_text().splitlines()]
    assert keys == [call.key for call in calls[:n]]


def results(tmp_path: Path, *lines: Any, end: str = "") -> list[JobLine | Torn]:
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    (tmp_path / "results").write_text(text + end)
    return list(read_lines(tmp_path / "results"))


def test_results_are_read_in_whatever_state_they_come(tmp_path: Path) -> None:
    tag = Tag("a" * 64, "large", "p@1")
    response = {"candidates": [{"content": {"parts": [{"text": "湖"}]}}]}
    found = results(
        tmp_path,
        {"key": str(tag), "response": response},
        {"key": str(tag), "error": {"code": 14, "message": "busy"}},
        {"key": str(tag), "error": "all wrong"},
        {"key": str(tag), "error": {"code": True, "message": 7}},
        {"key": str(tag)},
        "",
        "[1, 2]",
        {"key": "request-1", "response": response},
        {"response": response},
        end=f'{{"key": "{tag}", "resp',
    )
    body = json.dumps(response, ensure_ascii=False)
    nothing = (0, "neither response nor error")
    assert found == [
        JobLine(tag, body),
        JobLine(tag, None, (14, "busy")),
        JobLine(tag, None, nothing),
        JobLine(tag, None, nothing),
        JobLine(tag, None, nothing),
        Torn(7),
        JobLine(None, body),
        JobLine(None, body),
        Torn(10),
    ]


def test_half_a_surrogate_pair_stays_as_it_came(tmp_path: Path) -> None:
    [line] = results(tmp_path, '{"key": "x", "response": {"text": "\\ud83d \\ud83d\\ude00"}}')
    assert isinstance(line, JobLine)
    assert line.body == '{"text": "\\ud83d 😀"}'


@pytest.mark.parametrize("text", ["", "a" * 64, f"{'a' * 64} nobody p", f"{'A' * 64} judge p", None, 7, ["x"]])
def test_what_is_no_tag_of_ours_is_none(text: object) -> None:
    assert Tag.read(text) is None


# ---- where there are none


def test_other_backends_are_offered_where_there_are_no_batch_jobs() -> None:
    vertex = oracle_of().model_copy(update={"provider": "vertex"})
    with pytest.raises(BatchNotServed, match="through a Google Cloud Storage bucket") as said:
        GEMINI.api.connect(vertex, Pace(job="j", backend="batch", vertex=True, vertex_project="p"))
    assert "--backend flex or online" in str(pickle.loads(pickle.dumps(said.value)))
    chat = oracle_of().model_copy(update={"kind": "openai", "provider": "openai:http://127.0.0.1:1/v1"})
    with pytest.raises(BatchNotServed, match="openai:http"):
        OPENAI.api.connect(chat, Pace(job="j", backend="batch"))
