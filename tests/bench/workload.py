"""What the labelling benchmarks work on: made queries, a server in a process of its own, and a run in another."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MEDIUM, LARGE, JUDGE = "gemini-3.8-flash", "gemini-4-argon", "gemini-4-hydrogen"
KEY = "bench"


def write_queries(path: Path, n: int, *, reference: str = "the reference") -> Path:
    """n short questions with one reference answer, as JSONL."""
    with path.open("w", encoding="utf-8") as file:
        for i in range(n):
            row = {"query": f"Which of the {i} benchmarked questions is this one, in words?", "ground_truth": reference}
            file.write(json.dumps(row) + "\n")
    return path


class Server:
    """A fake Gemini in a process of its own."""

    def __init__(self, url: str) -> None:
        self.url = url

    def stats(self) -> dict[str, Any]:
        """Its counts."""
        with urllib.request.urlopen(f"{self.url}/_stats", timeout=30) as response:
            return dict(json.load(response))


@contextmanager
def server(folder: Path, scripts: dict[str, Any], *, unknown: str | None = None) -> Iterator[Server]:
    """Run a server for as long as the block runs; `unknown` is what its models answer."""
    (folder / "script.json").write_text(json.dumps(scripts), encoding="utf-8")
    options = ["--script", str(folder / "script.json")]
    options += ["--unknown", unknown] if unknown is not None else []
    command = [sys.executable, "-m", "tests.gemini_server", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Server(process.stdout.readline().strip())
        finally:
            process.terminate()


def environment(folder: Path) -> dict[str, str]:
    """Of a run that shares nothing with any other."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "ROUTECAL_"))}
    own = {"GEMINI_API_KEY": KEY, "ROUTECAL_HOME": str(folder / "home"), "PREFECT_HOME": str(folder / "prefect")}
    return others | own


def label_command(queries: Path, url: str, *options: str) -> list[str]:
    """`routecal label` against a server, judged by a model of its own."""
    models = ["--medium-model", MEDIUM, "--large-model", LARGE, "--judge-model", JUDGE]
    command = [sys.executable, "-m", "routecal", "label", "--queries", str(queries), "--oracle", "gemini"]
    return [*command, "--base-url", url, *models, *options]
