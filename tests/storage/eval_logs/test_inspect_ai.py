"""Logs that inspect_ai itself wrote, and what may have become of them."""

import contextlib
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from routecal.storage.errors import StorageError
from routecal.storage.eval_logs.errors import ChoiceNeeded, LogUnfinished, LogUnreadable, SampleUnusable
from routecal.storage.eval_logs.formats import open_log
from routecal.storage.eval_logs.merge import merge
from routecal.storage.eval_logs.sample import Choice
from routecal.storage.eval_logs.stage import stage
from routecal.storage.eval_logs.zip_members import Members
from routecal.storage.input_errors import InputMissing

LOGS = Path(__file__).parent / "data" / "inspect"


def members(name: str) -> dict[str, Any]:
    """What is in one of the real logs: its header, and its samples in order."""
    with Members(LOGS / f"{name}.eval") as log:
        return json.loads(log.read("header.json")) | {
            "samples": [json.loads(log.read(n)) for n in log.names("samples")]
        }


def written(folder: Path, whole: dict[str, Any], *, as_zip: bool = False) -> str:
    """A log of this content: JSON, or as a version before Zstandard packed it."""
    path = folder / ("log.eval" if as_zip else "log.json")
    if as_zip:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for i, one in enumerate(whole["samples"]):
                packed.writestr(f"samples/{i}.json", json.dumps(one))
            packed.writestr("header.json", json.dumps({k: v for k, v in whole.items() if k != "samples"}))
    else:
        path.write_text(json.dumps(whole))
    return str(path)


@pytest.mark.parametrize("form", ["eval", "deflated", "json"])
def test_a_log_of_inspect_ai_becomes_outcomes(form: str, tmp_path: Path) -> None:
    paths = []
    for name in ("medium", "large"):
        (folder := tmp_path / name).mkdir()
        real = str(LOGS / f"{name}.eval")
        paths.append(real if form == "eval" else written(folder, members(name), as_zip=form == "deflated"))
    output = tmp_path / "outcomes.parquet"
    merged = merge(*(open_log("inspect", path) for path in paths), str(output))
    assert (merged.n, merged.key, merged.n_repeated, merged.medium.n) == (8, "id", 8, 16)
    rows = pq.read_table(output).to_pylist()
    assert [row["id"] for row in rows] == [str(i) for i in range(1, 9)]
    # In its first epoch the medium model knows every second answer, in its second all of them.
    assert [row["medium_label"] for row in rows] == ["INCORRECT", "CORRECT"] * 4
    assert [row["medium_share_right"] for row in rows] == [0.5, 1.0] * 4
    assert [row["large_label"] == "CORRECT" for row in rows] == [False, True, True, True] * 2
    first = rows[0]
    assert first["query"] == "What is 0 + 42 - 0?"
    assert (first["ground_truth"], first["medium_answer"], first["large_answer"]) == ("42", "no idea", "no idea")
    assert (first["medium_tokens_in"], first["medium_tokens_out"], first["medium_cost_usd"]) == (10, 3, None)
    assert (first["medium_model"], first["large_model"]) == ("mockllm/medium", "mockllm/large")
    assert first["label_source"] == "inspect_ai 0.3.285, sums, match"
    # inspect_ai keeps long texts apart, under `attachments`.
    assert rows[3]["query"].startswith("What is 3 + 42 - 3? Think. Think.")


def test_choices_stand_below_the_question_and_messages_are_the_users_last(tmp_path: Path) -> None:
    whole = members("medium")
    one, other = whole["samples"][:2]
    one["choices"] = ["yes", "no"]
    turns = [
        ("system", "Be brief."),
        ("user", "Hello"),
        ("assistant", "Hi"),
        ("user", [{"type": "text", "text": "Why?"}]),
    ]
    other["input"] = [{"role": role, "content": content} for role, content in turns]
    found = list(open_log("inspect", written(tmp_path, whole)).samples)
    assert found[0].query == "What is 0 + 42 - 0?\nA) yes\nB) no"
    assert found[1].query == "Why?"


def test_an_error_in_a_sample_is_no_answer(tmp_path: Path) -> None:
    whole = members("medium")
    whole["samples"][0]["error"] = {"message": "the model was down", "traceback": ""}
    whole["samples"][1]["scores"] = None
    found = list(open_log("inspect", written(tmp_path, whole)).samples)
    assert (found[0].error, found[0].score, found[1].error, found[1].score) == ("the model was down", None, None, None)


def test_one_of_several_scores_is_named(tmp_path: Path) -> None:
    whole = members("medium")
    for one in whole["samples"]:
        one["scores"] = {"match": {"value": "C"}, "judge": {"value": {"style": 0.25, "truth": "I"}}}
    path = written(tmp_path, whole)
    with pytest.raises(ChoiceNeeded, match=r"match, judge\.style, judge\.truth\); name one with --scorer"):
        list(open_log("inspect", path).samples)
    with pytest.raises(ChoiceNeeded, match="no 'style'"):
        list(open_log("inspect", path, Choice(scorer="style")).samples)
    log = open_log("inspect", path, Choice(scorer="judge.truth"))
    assert (log.scorer, next(log.samples).score) == ("judge.truth", "I")


@pytest.mark.parametrize("status", ["started", "cancelled", "error"])
def test_what_has_not_ended_well_is_refused(status: str, tmp_path: Path) -> None:
    with pytest.raises(LogUnfinished, match=status):
        open_log("inspect", written(tmp_path, members("medium") | {"status": status}))


def test_a_log_that_is_being_written_has_no_header(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "log.eval", "w") as packed:
        packed.writestr("_journal/start.json", "{}")
    with pytest.raises(LogUnfinished, match="no header"):
        open_log("inspect", str(tmp_path / "log.eval"))


def test_what_is_no_log(tmp_path: Path) -> None:
    whole, cut = LOGS / "medium.eval", tmp_path / "cut.eval"
    cut.write_bytes(whole.read_bytes()[:9000])
    for name, content in {
        "a.json": "[]",
        "b.json": "{",
        "c.json": '{"status": "success"}',
        "d.eval": "",
        "e.json": "",
    }.items():
        (tmp_path / name).write_text(content)
    for path in (cut, *sorted(tmp_path.glob("?.*")), tmp_path):
        with pytest.raises(LogUnreadable):
            open_log("inspect", str(path))
    with pytest.raises(InputMissing):
        open_log("inspect", str(tmp_path / "not.eval"))
    with pytest.raises(ChoiceNeeded):
        open_log("inspect", str(whole), Choice(model="gpt"))


def test_a_damaged_sample_ends_the_import_and_writes_nothing(tmp_path: Path) -> None:
    # A byte in the middle of a packed sample.
    content = bytearray((LOGS / "medium.eval").read_bytes())
    with zipfile.ZipFile(LOGS / "medium.eval") as packed:
        info = packed.getinfo("samples/3_epoch_1.json")
    place = info.header_offset + 30 + len(info.filename) + 40
    content[place : place + 20] = b"\xff" * 20
    (tmp_path / "bad.eval").write_bytes(content)
    shutil.copy(LOGS / "large.eval", tmp_path)
    output = tmp_path / "outcomes.parquet"
    with pytest.raises(LogUnreadable, match="3_epoch_1"):
        merge(*(open_log("inspect", str(tmp_path / name)) for name in ("bad.eval", "large.eval")), str(output))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.eval", "large.eval"]


def test_a_sample_without_input(tmp_path: Path) -> None:
    for broken in ({}, 3, None):
        whole = members("medium")
        whole["samples"][4] = broken
        with pytest.raises(SampleUnusable, match="sample 5"):
            list(open_log("inspect", written(tmp_path, whole)).samples)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_the_fields_hold_it_is_a_sentence(seed: int, tmp_path: Path) -> None:
    """Every field of a sample and of the header as a list, a number, a text or an object: read, or refused."""
    whole = members("medium")
    values: list[Any] = [[], 3, "text", {"a": 1}, None, [1], {"name": []}, True]
    places: list[tuple[dict[str, Any], str]] = [(whole["samples"][0], k) for k in whole["samples"][0]]
    places += [(whole["eval"], k) for k in whole["eval"]] + [(whole, k) for k in whole]
    for within, key in places[seed::40]:
        kept = within[key]
        for value in values:
            within[key] = value
            with contextlib.suppress(StorageError):
                stage(open_log("inspect", written(tmp_path, whole)), tmp_path / "staged", None, lambda n: None)
        within[key] = kept
