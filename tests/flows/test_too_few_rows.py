"""Rows that are too few, too alike or too long: a refusal, a warning, or a count in the report."""

import json
import os
from pathlib import Path

import pytest

from routecal.calib.policy import POLICIES
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.flows import cli
from tests.flows.refusal import Capture, refused
from tests.tasks.made import outcome_rows, write_jsonl

pytestmark = pytest.mark.usefixtures("_own_results", "plain_report")
SMALL = ["--epochs", "1", "--hidden-units", "4"]


def calibrate_argv(queries: list[str], policies: list[str], router: Path, tmp_path: Path) -> list[str]:
    path = write_jsonl(tmp_path / "some.jsonl", outcome_rows(queries, policies))
    return ["calibrate", "--queries", path, "--router-path", str(router), *SMALL]


def test_all_labels_of_one_class(asked: list[str], router_checkpoint: Path, tmp_path: Path, capsys: Capture) -> None:
    routed = [POLICIES[i].value for i in FrozenRouter(router_checkpoint).read(asked).policy]
    said = refused(capsys, *calibrate_argv(asked, routed, router_checkpoint, tmp_path))
    assert "the router is right on all 300 labelled examples" in said
    assert "a confidence cannot be calibrated" in said
    assert not (Path(os.environ["ROUTECAL_HOME"]) / "heads").exists()


def test_fewer_than_thirty_are_refused(
    asked: list[str], policies: list[str], router_checkpoint: Path, tmp_path: Path, capsys: Capture
) -> None:
    said = refused(capsys, *calibrate_argv(asked[:29], policies[:29], router_checkpoint, tmp_path))
    assert "29 labelled examples are too few to calibrate on, at least 30 are needed" in said
    assert not (Path(os.environ["ROUTECAL_HOME"]) / "labels").exists()  # refused before anything is labelled


def test_fewer_than_a_hundred_are_warned_of(
    asked: list[str],
    policies: list[str],
    router_checkpoint: Path,
    tmp_path: Path,
    capsys: Capture,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert cli.main(calibrate_argv(asked[:99], policies[:99], router_checkpoint, tmp_path)) == 0
    said = capsys.readouterr()
    out = " ".join(said.out.split())
    assert out.count("There are fewer than 100 labelled examples: intervals are widened to 99%. Label more") == 1
    assert "labelled examples" not in caplog.text + said.err
    assert "99% intervals" in out


def test_long_queries_are_cut_counted_and_reported(
    asked: list[str], policies: list[str], router_checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    long = [text + " and so on" * 40 if i % 50 == 0 else text for i, text in enumerate(asked)]
    assert cli.main(calibrate_argv(long, policies, router_checkpoint, tmp_path)) == 0
    assert "6 of 300 queries are longer than the router's window and were cut" in caplog.text
    (page,) = (Path(os.environ["ROUTECAL_HOME"]) / "reports").rglob("metrics.json")
    assert "6 longer than the router's window" in json.loads(page.read_text())["facts"]["Queries"]
