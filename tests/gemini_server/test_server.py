"""The server itself, through the real SDK and by hand: what others rely on when they count what it saw."""

import io
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from tests.gemini_server.answers import Answers, quoted, same_words
from tests.gemini_server.scripts import BatchScript, Playing, Script
from tests.gemini_server.server import GeminiServer, serving
from tests.gemini_server.wire import read_generate

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server() -> Iterator[GeminiServer]:
    with serving(respond=Answers({"one?": "1", "two?": {"b": "2", "c": "II"}})) as running:
        yield running


@pytest.fixture
def client(server: GeminiServer) -> Iterator[genai.Client]:
    with genai.Client(api_key="k", http_options=types.HttpOptions(base_url=server.url)) as client:
        yield client


def post(url: str, body: Any) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def line(key: str, text: str) -> str:
    return json.dumps({"key": key, "request": {"contents": [{"parts": [{"text": text}]}]}}) + "\n"


def upload(client: genai.Client, text: str) -> str:
    return str(client.files.upload(file=io.BytesIO(text.encode()), config={"mime_type": "application/jsonl"}).name)


def results(client: genai.Client, job: types.BatchJob) -> dict[str, Any]:
    assert job.dest
    assert job.dest.file_name
    rows = [json.loads(row) for row in client.files.download(file=job.dest.file_name).splitlines()]
    return {row["key"]: row for row in rows}


def test_a_batch_from_file_to_file(server: GeminiServer, client: genai.Client) -> None:
    source = upload(client, line("x", "one?") + line("y", "two?"))
    made = client.batches.create(model="b", src=source, config={"display_name": "run-abc"})
    states = [client.batches.get(name=str(made.name)) for _ in range(2)]
    assert [job.state.name for job in (made, *states) if job.state] == [
        "JOB_STATE_PENDING", "JOB_STATE_PENDING", "JOB_STATE_SUCCEEDED",
    ]  # fmt: skip
    assert [job.display_name for job in client.batches.list()] == ["run-abc"]
    rows = results(client, states[-1])
    assert {k: row["response"]["candidates"][0]["content"]["parts"][0]["text"] for k, row in rows.items()} == {
        "x": "1", "y": "2",
    }  # fmt: skip
    # What a batch has answered is paid: the same request online is paid twice.
    assert server.stats()["billed_twice"] == 0
    client.models.generate_content(model="b", contents="one?")
    assert server.stats()["billed_twice"] == 1


def test_a_batch_inline(client: genai.Client) -> None:
    request = types.InlinedRequest(contents="two?", metadata={"key": "y"})  # type: ignore[arg-type]
    made = client.batches.create(model="c", src=[request])
    client.batches.get(name=str(made.name))
    job = client.batches.get(name=str(made.name))
    assert job.dest
    assert job.dest.inlined_responses
    (row,) = job.dest.inlined_responses
    assert row.response
    assert (row.metadata, row.response.text) == ({"key": "y"}, "II")


def test_a_batch_can_go_wrong(server: GeminiServer, client: genai.Client) -> None:
    rows = "".join(line(str(i), f"{i}?") for i in range(200))
    server.script(
        {
            "parts": Script(batch=BatchScript(polls=0, missing_frac=0.1, failed_frac=0.2, failed_with="400-argument")),
            "torn": Script(batch=BatchScript(polls=0, torn=True)),
            "late": Script(batch=BatchScript(polls=0, end="EXPIRED")),
            "stuck": Script(batch=BatchScript(polls=0, end="PENDING")),
            "half": Script(batch=BatchScript(polls=0, end="PARTIALLY_SUCCEEDED")),
        }
    )
    source = upload(client, rows)
    parts = client.batches.create(model="parts", src=source)
    found = results(client, parts)
    failed = [row for row in found.values() if "error" in row]
    # 200 rows: 10% missing, of the rest 20% failed; four standard deviations either way.
    assert 163 <= len(found) <= 197
    assert 15 <= len(failed) <= 59
    assert failed[0]["error"] == {"code": 14, "message": "Request contains an invalid argument."}
    assert list(found) != sorted(found, key=int)
    with pytest.raises(json.JSONDecodeError):
        results(client, client.batches.create(model="torn", src=source))
    before = server.billed.total()
    for model, state in {"late": "EXPIRED", "stuck": "PENDING"}.items():
        job = client.batches.create(model=model, src=source)
        assert (job.state.name if job.state else "", job.dest) == (f"JOB_STATE_{state}", None)
    assert server.billed.total() == before
    name = str(client.batches.create(model="stuck", src=source).name)
    client.batches.cancel(name=name)
    assert str(client.batches.get(name=name).state) == "JobState.JOB_STATE_CANCELLED"
    with pytest.warns(UserWarning, match="BATCH_STATE_PARTIALLY_SUCCEEDED"):
        assert not client.batches.create(model="half", src=source).done


def test_a_job_can_be_made_unheard_and_found_again(server: GeminiServer, client: genai.Client) -> None:
    server.script({"b": Script(batch=BatchScript(creates=("rst", "429", "ok")))})
    source = upload(client, line("x", "one?"))
    broken: list[type[Exception]] = []
    for _ in range(2):
        try:
            client.batches.create(model="b", src=source, config={"display_name": "chunk-1"})
        except Exception as error:
            broken.append(type(error))
    assert [kind.__name__ for kind in broken] == ["ReadError", "ClientError"]
    assert [job.display_name for job in client.batches.list()] == ["chunk-1"]
    assert server.statuses["b:batch rst"] == server.statuses["b:batch 429"] == 1


def test_operations_can_be_hindered(server: GeminiServer, client: genai.Client) -> None:
    source = upload(client, line("x", "one?"))
    name = str(client.batches.create(model="b", src=source).name)
    server.script({n: Script(steps=("503",)) for n in ("poll", "list", "download", "file")})
    for operation in (
        lambda: client.batches.get(name=name),
        lambda: list(client.batches.list()),
        lambda: client.files.download(file=source),
        lambda: client.files.get(name=source),
    ):
        with pytest.raises(errors.ServerError):
            operation()
        assert operation()
    client.files.delete(name=source)
    with pytest.raises(errors.ClientError, match="permission"):
        client.files.get(name=source)
    with pytest.raises(errors.ClientError, match="no input file"):
        client.batches.create(model="b", src=source)


def test_uploads_of_several_chunks(server: GeminiServer, client: genai.Client) -> None:
    content = "x" * (9 * 1024 * 1024)  # the SDK sends 8 MiB at a time
    assert client.files.download(file=upload(client, content)) == content.encode()
    assert server.statuses["upload 200"] == 3


def test_jobs_are_listed_by_pages_the_newest_first(client: genai.Client) -> None:
    source = upload(client, line("x", "one?"))
    for i in range(5):
        client.batches.create(model="b", src=source, config={"display_name": f"j{i}"})
    pager = client.batches.list(config={"page_size": 2})
    assert [job.display_name for job in pager] == ["j4", "j3", "j2", "j1", "j0"]


def test_quotas_hold_in_a_sliding_window() -> None:
    playing = Playing(Script(rpm=2, window_s=10))
    steps = [playing.next(1, now) for now in (0.0, 4.0, 5.0, 10.0, 11.0, 14.0)]
    assert [step if isinstance(step, str) else step.status for step in steps] == ["ok", "ok", 429, "ok", 429, "ok"]
    # At 5 s the first of the two has 5 s to go.
    assert "retry in 5.000000000s" in steps[2].body["error"]["message"]  # type: ignore[union-attr]
    playing = Playing(Script(tpm=100, window_s=10))
    assert [isinstance(playing.next(n, 0.0), str) for n in (60, 50, 40)] == [True, False, True]
    playing = Playing(Script(rpd=1))
    assert [isinstance(playing.next(1, 0.0), str) for _ in range(2)] == [True, False]


def test_random_failures_repeat_with_their_seed() -> None:
    runs = [[Playing(Script(fail_frac=0.3, seed=seed)).next(1, 0.0) for _ in range(1)] for seed in (1, 1)]
    assert runs[0] == runs[1]
    playing = Playing(Script(fail_frac=0.3, seed=1))
    failed = sum(playing.next(1, 0.0) != "ok" for _ in range(1000))
    assert 240 <= failed <= 360


def test_equal_requests_are_known_however_they_are_spelt() -> None:
    text = {"contents": [{"parts": [{"text": "q"}], "role": "user"}]}
    camel = text | {"generationConfig": {"maxOutputTokens": 9, "thinkingConfig": {"thinking_level": "LOW"}}}
    snake = text | {"generation_config": {"max_output_tokens": 9, "thinking_config": {"thinkingLevel": "LOW"}}}
    assert read_generate("m", camel).digest == read_generate("models/m", {**snake, "serviceTier": "flex"}).digest
    assert read_generate("m", camel).digest != read_generate("m", text).digest
    assert read_generate("m", camel).digest != read_generate("n", camel).digest


def test_judges_read_what_is_fenced() -> None:
    prompt = "--- begin ANSWER ab12 ---\nIt is\n--- end ANSWER zz ---\nParis\n--- end ANSWER ab12 ---"
    assert quoted(prompt) == {"ANSWER": ["It is\n--- end ANSWER zz ---\nParis"]}
    assert same_words("", ["Rome", "paris"], "It is Paris.") == "CORRECT"
    assert same_words("", ["Rome"], "It is Paris.") == "INCORRECT"
    assert same_words("", ["Rome"], "I don't know") == "NOT_ATTEMPTED"


def test_chats_in_the_other_protocol(server: GeminiServer) -> None:
    body = {"model": "b", "messages": [{"role": "user", "content": "two?"}]}
    reply = post(f"{server.openai_url}/chat/completions", body)
    assert reply["choices"][0]["message"]["content"] == "2"
    with pytest.raises(urllib.error.HTTPError) as raised:
        post(f"{server.openai_url}/chat/completions", {**body, "model": "m-429"})
    assert raised.value.code == 429
    raised.value.close()


def test_the_server_as_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps({"m": {"steps": ["503"], "batch": {"creates": ["429"]}}}))
    (tmp_path / "a.json").write_text(json.dumps({"one?": "1"}))
    command = [sys.executable, "-m", "tests.gemini_server", "--script", tmp_path / "s.json"]
    with subprocess.Popen([*command, "--answers", tmp_path / "a.json"], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        url = process.stdout.readline().decode().strip()
        stats = post(f"{url}/_script", {"m": {}})
        assert stats["requests"] == 0
        body = {"contents": [{"parts": [{"text": "one?"}]}]}
        reply = post(f"{url}/v1/models/m:generateContent", body)
        assert reply["candidates"][0]["content"]["parts"][0]["text"] == "1"
        with urllib.request.urlopen(f"{url}/_stats", timeout=10) as response:
            assert json.load(response)["models"] == {"m": {"200": 1}}
        process.terminate()
    assert process.returncode == 0


def test_a_script_says_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="no latency"):
        Script.of({"latency": 1})
    with pytest.raises(ValueError, match="no step is called '430'"):
        Script.of({"steps": ["430"]})
    assert Script.of({"batch": {"creates": ["rst"]}}) == Script(batch=BatchScript(creates=("rst",)))
    assert Script.named("m-429-then-ok") == Script(steps=("429",), then="ok")
    assert Script.named("gemini-3.8-flash") == Script()
