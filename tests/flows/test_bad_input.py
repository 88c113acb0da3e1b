"""Bad input: one clear sentence, exit code 2, nothing half-written."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Gemma3TextForSequenceClassification

from routecal.flows import cli
from routecal.storage.artifact import read_table
from routecal.tasks import runs
from routecal.tasks.make_router import TRAINED_ON
from tests.flows.refusal import Capture, refused
from tests.tasks.made import write_jsonl

pytestmark = pytest.mark.usefixtures("_own_results", "plain_report")


# ---- files


def two(tmp_path: Path, **changes: Any) -> str:
    rows = [{"query": f"Question {i}?", "medium_label": "CORRECT", "large_label": "CORRECT"} for i in range(2)]
    rows[1] |= changes
    return write_jsonl(tmp_path / "two.jsonl", rows)


def lines(tmp_path: Path, *content: str) -> str:
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join(content), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (lambda t: lines(t), "holds no rows"),
        (lambda t: str(t / "nowhere.jsonl"), "there is no file .*nowhere.jsonl"),
        (
            lambda t: lines(t, '{"query": "a?"}', "", '{"query": '),
            "lines.jsonl: 1 of 2 rows cannot be used: line 3: not JSON",
        ),
        (lambda t: lines(t, '{"question": "a?"}'), "no column 'query', .*: add --columns query=question, or rename"),
        (
            lambda t: lines(t, '{"query": "a?"}', '{"query": " "}'),
            "line 2: the query is blank; correct or remove it, nothing was read",
        ),
        (
            lambda t: lines(t, '{"query": "a?", "id": "7"}', '{"query": "b?", "id": "7"}'),
            "line 2: the id '7' is that of another query on line 1",
        ),
        (
            lambda t: two(t, large_label="Right"),
            "line 2: large_label is 'Right', CORRECT, INCORRECT, NOT_ATTEMPTED, or true",
        ),
        (lambda t: lines(t, '{"query": "a?"}'), "no column 'medium_label'.*: add --outcomes FILE, or rename"),
        (
            lambda t: shutil.copy(lines(t, "x"), t / "q.xlsx") and str(t / "q.xlsx"),
            "save the sheet as CSV UTF-8, or use one of .jsonl",
        ),
    ],
)
def test_a_bad_file(write: Callable[[Path], str], sentence: str, tmp_path: Path, capsys: Capture) -> None:
    said = refused(capsys, "label", "--queries", write(tmp_path))
    assert re.search(sentence, said), said
    assert not (Path(os.environ["ROUTECAL_HOME"]) / "labels").exists()


def test_outcomes_of_other_queries(queries_file: str, tmp_path: Path, capsys: Capture) -> None:
    said = refused(capsys, "label", "--queries", queries_file, "--outcomes", two(tmp_path))
    assert "the outcomes file holds an outcome for none of the 300 queries" in said


def test_no_model_and_no_reference_for_the_local_oracle(
    tmp_path: Path, causal_checkpoint: Path, capsys: Capture
) -> None:
    path = two(tmp_path)
    assert "--local-model" in refused(capsys, "label", "--queries", path, "--oracle", "local")
    argv = ["label", "--queries", path, "--oracle", "local", "--local-model", str(causal_checkpoint)]
    assert "none of the 2 queries has a ground_truth" in refused(capsys, *argv)
    argv[-1] = str(tmp_path)
    assert "holds no Hugging Face checkpoint" in refused(capsys, *argv)


def test_steps_before_what_they_need(capsys: Capture) -> None:
    assert "no labels: run `routecal label` first" in refused(capsys, "train")
    assert "no examples: run `routecal train` first" in refused(capsys, "evaluate")
    assert "no artifacts: run" in refused(capsys, "stats")
    assert "no examples: run" in refused(capsys, "export")
    assert "there is no file nowhere.parquet" in refused(capsys, "train", "--features", "nowhere.parquet")


# ---- routers


@pytest.fixture
def router(router_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(router_checkpoint, tmp_path / "router"))


def _relabel(router: Path) -> None:
    config = json.loads((router / "config.json").read_text())
    config["id2label"] = {"0": "easy", "1": "hard", "2": "odd"}
    config["label2id"] = {"easy": 0, "hard": 1, "odd": 2}
    (router / "config.json").write_text(json.dumps(config))


def _spoil(router: Path) -> None:
    model = Gemma3TextForSequenceClassification.from_pretrained(router)
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    model.save_pretrained(router)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (shutil.rmtree, "router holds no Hugging Face checkpoint (config.json), as there is no such folder; give"),
        (lambda r: (r / "head.safetensors").touch(), "(config.json), but the confidence head of a router; give"),
        (lambda r: (r / "model.safetensors").unlink(), "holds no complete Hugging Face checkpoint"),
        (lambda r: (r / "model.safetensors").write_bytes(b"half a"), "holds no complete Hugging Face checkpoint"),
        (lambda r: (r / "config.json").write_text("{not JSON"), "config.json"),
        (lambda r: (r / "config.json").write_text('{"model_type": "not-a-model"}'), "not-a-model"),
        (_relabel, "its labels are easy, hard, odd, the policies are Standard_Query, Complex_Query, Ambiguous_Query"),
        (_spoil, "NaN or infinity is in 1 of its tensors (model.norm.weight)"),
    ],
)
def test_a_bad_router(
    change: Callable[[Path], Any], sentence: str, router: Path, queries_file: str, capsys: Capture
) -> None:
    change(router)
    said = refused(capsys, "extract", "--queries", queries_file, "--router-path", str(router))
    assert sentence in said, said
    assert not (Path(os.environ["ROUTECAL_HOME"]) / "features").exists()


def test_a_router_trained_on_these_very_queries(
    router: Path, queries_file: str, outcomes_file: str, capsys: Capture
) -> None:
    assert cli.main(["label", "--queries", queries_file, "--outcomes", outcomes_file]) == 0
    ids = read_table(runs.newest_artifact("queries"))["query_id"].to_pylist()
    (router / TRAINED_ON).write_text("\n".join(ids))
    argv = ["calibrate", "--queries", queries_file, "--outcomes", outcomes_file, "--router-path", str(router)]
    assert "all 300 queries trained the router" in refused(capsys, *argv)


# ---- disks


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A real file system of a few pages."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


# outcomes, features, a head's weights and the report no longer fit
@pytest.mark.parametrize("size", ["8k", "48k", "96k", "240k"])
def test_a_full_disk(
    size: str,
    queries_file: str,
    outcomes_file: str,
    router_checkpoint: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    argv = ["calibrate", "--queries", queries_file, "--outcomes", outcomes_file]
    argv += ["--router-path", str(router_checkpoint), "--epochs", "1", "--hidden-units", "64"]
    with small_disk(tmp_path / "small", size) as disk:
        monkeypatch.setenv("ROUTECAL_HOME", str(disk / "home"))
        assert "is full; free some space" in refused(capsys, *argv)
        for table in disk.rglob("*.parquet"):
            assert table.read_bytes()[-4:] == b"PAR1"
        for head in (disk / "home").glob("heads/*"):
            assert {f.name for f in head.iterdir()} == {
                "config.json",
                "head.safetensors",
                "README.md",
                "training.jsonl",
            }


def test_a_home_that_refuses(
    queries_file: str, outcomes_file: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    # /proc takes no folders, even from root
    for home in (str(tmp_path / "file" / "home"), "/proc/routecal"):
        monkeypatch.setenv("ROUTECAL_HOME", home)
        said = refused(capsys, "label", "--queries", queries_file, "--outcomes", outcomes_file)
        assert said.startswith(f"{home} cannot be written to (")
        assert "set ROUTECAL_HOME" in said


# ---- before anything is labelled or paid


def _unreadable(folder: Path) -> None:
    file = folder / "model.safetensors"
    tensors = {f"_orig_mod.{name}": tensor for name, tensor in load_file(file).items()}
    save_file(tensors, file, metadata={"format": "pt"})


def test_a_router_that_cannot_be_read_is_refused_before_labelling(
    router: Path, queries_file: str, outcomes_file: str, capsys: Capture
) -> None:
    _unreadable(router)
    argv = ["calibrate", "--queries", queries_file, "--outcomes", outcomes_file, "--router-path", str(router)]
    assert "torch.compile had wrapped" in refused(capsys, *argv)
    assert not (Path(os.environ["ROUTECAL_HOME"]) / "labels").exists()


def test_a_base_model_that_cannot_be_read_is_refused_before_labelling(
    causal_checkpoint: Path, tmp_path: Path, queries_file: str, outcomes_file: str, capsys: Capture
) -> None:
    base = Path(shutil.copytree(causal_checkpoint, tmp_path / "base"))
    _unreadable(base)
    argv = ["train-router", "--queries", queries_file, "--outcomes", outcomes_file, "--base-model", str(base)]
    assert "torch.compile had wrapped" in refused(capsys, *argv)
    (base / "adapter_config.json").write_text("{}")
    assert "is part of an adapter (PEFT, LoRA) that is not merged" in refused(capsys, *argv)
    assert not (Path(os.environ["ROUTECAL_HOME"]) / "labels").exists()
