"""Queries, topics, models and files whose names would like to be more than text: UI, terminal and report show text."""

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.gemini_server.server import serving as gemini
from tests.patience import PATIENCE_S
from tests.served.conftest import ROOT, Served
from tests.tasks.made import outcome_rows, policies_for, texts, write_jsonl
from tests.tasks.oracle.labelling import by_number

OSC = "\x1b]0;hacked\x07\x1b]52;c;aGFja2Vk\x07\x1b]8;;http://hacked.example\x1b\\here\x1b]8;;\x1b\\"
SCRIPTS = "<script>window.hacked=1</script><img src=x onerror=\"window.hacked=2;alert('hacked')\"><svg onload=alert(1)>"
LINKS = "[x](javascript:window.hacked=3) ![y](javascript:alert(2)) | ` ``` \n\n# hacked\n\n| a | b |\n|---|---|\n"
BREAKOUT = '"><script>window.hacked=4</script> {{ 7 * 7 }} %s %d \\N{NULL} {params.queries}'
TEXTS = [OSC, SCRIPTS, LINKS, BREAKOUT, "\x9b31m\u202egnirts", f"{SCRIPTS}{LINKS}" + "A " * 500_000]
# A slash is the one thing that no file is called.
FILE = f"{OSC}{SCRIPTS}{LINKS}".replace("/", "").replace("\n", " ")[:180] + ".jsonl"
SMALL = {"epochs": 2, "hidden_units": 8, "medium_price": 1, "large_price": 20}
CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")


class Hostile(NamedTuple):
    """What was labelled, and the run that calibrated on it."""

    params: dict[str, Any]
    run: str
    report: Path


@pytest.fixture(scope="module")
def hostile(served: Served, router_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    folder = tmp_path_factory.mktemp("hostile")
    asked = [*texts(394), *TEXTS]
    names = [OSC, SCRIPTS + LINKS, f"{LINKS}{'topic ' * 200_000}"]
    rows = [{"query": text, "id": f"{OSC}{SCRIPTS}{i}", "topic": names[i % 3]} for i, text in enumerate(asked)]
    outcomes = [
        {**row, "topic": None, "medium_model": f"{SCRIPTS}{OSC}", "large_model": LINKS}
        for row in outcome_rows(texts(394), policies_for(texts(394), router_checkpoint))
    ]
    outcomes += [{**outcomes[0], "query": text} for text in TEXTS]
    params = {
        "queries": write_jsonl(folder / FILE, rows),
        "outcomes": write_jsonl(folder / f"o{FILE}", outcomes),
        "router_path": str(router_checkpoint),
        "price_unit": f"{SCRIPTS}{LINKS}",
        **SMALL,
    }
    run = served.start(served.offer("calibrate", **params))
    state = served.until(run, "COMPLETED", "FAILED", "CRASHED")
    assert state["type"] == "COMPLETED", state["message"]
    newest = max((served.folder / "artifacts/reports").glob("calibrate-*"), key=lambda path: path.stat().st_mtime)
    return Hostile(params, run, newest / "report.html")


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def watched(page: Any) -> Iterator[Any]:
    """A page on which nothing may have run when the test ends."""
    dialogs: list[str] = []

    def note(dialog: Any) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", note)
    yield page
    page.wait_for_timeout(1000)
    assert page.evaluate("window.hacked") is None
    assert dialogs == []
    for live in ("img[onerror]", "svg[onload]", 'a[href^="javascript"]', 'img[src^="javascript"]'):
        assert page.locator(live).count() == 0, live
    assert not [s for s in page.locator("script").all_text_contents() if "hacked" in s]


def test_the_report_shows_text(hostile: Hostile, watched: Any) -> None:
    text = hostile.report.read_text(encoding="utf-8")
    assert "&lt;script&gt;window.hacked=1" in text
    tags = Tags(text).found
    assert not {tag for tag, _ in tags} & {"script", "svg", "iframe", "a"}
    assert not [attrs for _, attrs in tags for name in attrs if name.startswith("on")]
    assert len(text) < 2_000_000
    watched.goto(hostile.report.as_uri())
    assert watched.locator("h1").count() == 1


def test_the_page_of_the_evaluation_shows_text(served: Served, hostile: Hostile, watched: Any) -> None:
    found = served.ask("GET", f"/artifacts/{served.artifact('evaluation-calibrate-%')}")
    assert found["flow_run_id"] == hostile.run
    prose = re.sub(r"\]\(data:image/png;base64,[^)]*\)", "]", found["data"])
    assert "hacked" in prose
    assert "<" not in prose
    assert not CONTROL.search(prose.encode())
    watched.goto(f"{served.ui}/artifacts/artifact/{found['id']}")
    watched.locator('img[src^="data:image/png;base64,"]').first.wait_for()
    tables = watched.locator("table")
    assert max(tables.nth(i).locator("tr").count() for i in range(tables.count())) > 10
    assert watched.get_by_role("heading", name="hacked", exact=True).count() == 0


@pytest.mark.parametrize("page_of", ["/runs/flow-run/{run}", "/runs/flow-run/{run}?tab=Logs", "/runs", "/artifacts"])
def test_pages_of_the_run_show_text(page_of: str, served: Served, hostile: Hostile, watched: Any) -> None:
    watched.goto(served.ui + page_of.format(run=hostile.run))
    watched.get_by_text("evaluation" if page_of == "/artifacts" else "calibrate ").first.wait_for()


def cli(served: Served, *argv: str, **variables: str) -> tuple[int, bytes]:
    """(code, all that was said) of a command that nobody watches: it has no styling of its own either."""
    known = {"PREFECT_API_URL": f"{served.ui}/api", **variables}
    done = subprocess.run(
        [sys.executable, "-m", "routecal", *argv],
        cwd=ROOT, env=served.env | known, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE_S,
    )  # fmt: skip
    return done.returncode, done.stdout


def on_terminal(served: Served, *argv: str) -> bytes:
    """All that a command writes to a terminal that somebody watches."""
    ours, theirs = pty.openpty()
    env = served.env | {"PREFECT_API_URL": f"{served.ui}/api", "TERM": "xterm-256color", "COLUMNS": "120"}
    with subprocess.Popen(
        [sys.executable, "-m", "routecal", *argv],
        cwd=ROOT,
        env=env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                said += (read := os.read(ours, 65536))
            # How Linux says that the other side is closed.
            except OSError:
                break
            if not read:
                break
    os.close(ours)
    assert process.returncode in (0, 2), said[-2000:]
    return said


def test_nothing_commands_the_terminal(served: Served, hostile: Hostile, tmp_path: Path) -> None:
    asked = {"--queries": hostile.params["queries"], "--outcomes": hostile.params["outcomes"]}
    options = [part for pair in asked.items() for part in pair]
    known = len(TEXTS)
    headless = write_jsonl(tmp_path / FILE, [{f"{OSC}{SCRIPTS}": "x"}])
    graded = write_jsonl(tmp_path / "g.jsonl", [{"query": "a", "medium_label": OSC * 40_000, "large_label": "CORRECT"}])
    with gemini(respond=by_number()) as server:
        rows = [{"query": f"{text[:200]} {i}?", "id": f"{OSC}{i}"} for i, text in enumerate(TEXTS)]
        rows += [{"query": f"Which lake is number {i}?", "ground_truth": "Lake Titicaca"} for i in range(3)]
        without = write_jsonl(tmp_path / f"w{FILE}", rows)
        by_api = ["label", "--queries", without, "--oracle", "gemini", "--base-url", server.url]
        commands = [
            (0, ["--verbose", "label", *options]),
            (0, ["--verbose", *by_api]),
            (0, ["stats"]),
            (2, ["label", "--queries", headless, "--outcomes", headless]),
            (2, ["label", "--queries", graded]),
            (2, ["label", "--queries", str(tmp_path / f"absent{FILE}")]),
            (2, ["label", "--queries", str(tmp_path / f"{FILE}.{OSC.replace('/', '')}")]),
        ]
        for code, argv in commands:
            found, said = cli(served, *argv, GEMINI_API_KEY="AIzaSy-of-no-account-at-all-0123456789-x")
            assert found == code, said[-3000:]
            assert not CONTROL.search(said.replace(b"\r\n", b"\n")), (argv, said[-3000:])
            assert len(said) < 200_000
            if argv[-1] == server.url:
                assert f"{known} of {known + 3} queries have no ground truth".encode() in said
    for argv in (["label", *options], ["stats"], ["label", "--queries", headless]):
        said = on_terminal(served, *argv)
        assert said
        assert b"\x1b]" not in said
        assert b"\x07" not in said


def test_nothing_commands_the_terminal_of_a_worker(served: Served, hostile: Hostile, tmp_path: Path) -> None:
    """Its log is what `prefect worker start` shows; that of a run that failed holds the error with its traceback."""
    headless = write_jsonl(tmp_path / FILE, [{f"{OSC}{SCRIPTS}": "x"}])
    for wrong in (headless, str(tmp_path / f"absent{FILE}")):
        run = served.start(served.offer("calibrate", **hostile.params | {"queries": wrong}))
        assert served.until(run, "COMPLETED", "FAILED", "CRASHED")["type"] == "FAILED"
    time.sleep(3)
    for name in ("worker", "server"):
        said = (served.folder / ".prefect" / f"{name}.log").read_bytes()
        assert not (found := CONTROL.search(said)), said[max(found.start() - 2000, 0) : found.end() + 200].decode()
    assert json.dumps("hacked")[1:-1].encode() in (served.folder / ".prefect/worker.log").read_bytes()
