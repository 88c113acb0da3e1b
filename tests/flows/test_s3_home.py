"""Commands with all artifacts on a server that speaks S3, and nothing of them on this machine."""

import json
import os
import shutil
from pathlib import Path

import pytest

from routecal.flows import cli
from routecal.storage.head_registry import append_entry, champion
from routecal.storage.layout import Home
from routecal.storage.manifest import latest_manifest
from routecal.storage.remote import resolve
from routecal.tasks.serving import Champion
from tests.flows.conftest import States, of
from tests.object_store.s3_server import S3Server

pytestmark = pytest.mark.served
HOME = "s3://bucket/project/home"
Capture = pytest.CaptureFixture[str]


def done(capsys: Capture, *argv: str) -> str:
    """What a command prints that succeeds."""
    capsys.readouterr()
    code = cli.main(argv)
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which a run may leave what belongs to its machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_the_whole_way_to_a_head_that_serves(
    s3: S3Server,
    states: States,
    queries_file: str,
    outcomes_file: str,
    router_checkpoint: Path,
    asked: list[str],
    plain_report: None,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.setenv("ROUTECAL_HOME", HOME)
    done(capsys, "extract", "--queries", queries_file, "--router-path", str(router_checkpoint), "--shard-size", "100")
    assert of(states, "Completed")["extract"] == 3
    argv = [
        "calibrate",
        "--queries",
        queries_file,
        "--outcomes",
        outcomes_file,
        "--router-path",
        str(router_checkpoint),
    ]
    argv += ["--shard-size", "100", "--epochs", "2", "--hidden-units", "8"]
    done(capsys, *argv)
    first = latest_manifest(Home.from_env(), "calibrated")
    assert first is not None
    assert all(one.uri.startswith(f"{HOME}/") for one in first.artifacts.values() if one.kind != "routers")
    states.clear()
    done(capsys, *argv)
    again = latest_manifest(Home.from_env(), "calibrated")
    assert again is not None
    assert again.artifacts == first.artifacts
    assert "extract" not in of(states, "Completed")
    done(capsys, "evaluate")
    assert json.loads(done(capsys, "stats", "grades", "--json"))

    made = first.artifacts["calibrated"]
    append_entry(Home.from_env(), "promoted", champion=made, candidate=made, after=0)
    assert champion(Home.from_env()) == made
    assert "promoted" in done(capsys, "heads")
    shutil.rmtree(os.environ["XDG_CACHE_HOME"])
    assert len(Champion().route(asked[:2])) == 2

    assert not list(here.rglob("*.parquet"))
    assert not [name for name in resolve(HOME)[0].find("bucket") if "probe" in name or ".tmp-" in name]
