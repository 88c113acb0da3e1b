"""Queries about lakes, and the command that labels them in a process of its own."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGKILL
from typing import Any

from routecal.flows.oracle_params import LabelParams
from tests.bench.workload import ROOT, environment, label_command
from tests.gemini_server.server import GeminiServer
from tests.tasks.made import write_jsonl
from tests.tasks.oracle.labelling import JUDGE, KEY, LARGE, MEDIUM, asked


def lakes_file(folder: Path, n: int, *, first: int = 0) -> Path:
    """`asked(n)` as JSONL."""
    rows = [{"query": row["query"], "ground_truth": row["ground_truth"]} for row in asked(n, first=first).to_pylist()]
    return Path(write_jsonl(folder / f"lakes{first}-{first + n}.jsonl", rows))


def params_for(queries: Path, server: GeminiServer, **more: Any) -> LabelParams:
    """Those of a flow that asks the server's three models."""
    models = {"medium_model": MEDIUM, "large_model": LARGE, "judge_model": JUDGE}
    return LabelParams(queries=str(queries), oracle="gemini", base_url=server.url, **models | more)


class Command:
    """`routecal label` in a process group of its own, as a terminal starts it; what it says goes to files."""

    def __init__(self, folder: Path, queries: Path, server: GeminiServer, *options: str, **variables: str) -> None:
        self._out, self._err = folder / "out", folder / "err"
        self.before = server.requests()
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                label_command(queries, server.url, *options),
                cwd=ROOT,
                env=environment(folder) | {"GEMINI_API_KEY": KEY} | variables,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def kill_group(self, number: int) -> None:
        """What a terminal does on Ctrl-C, or we at the end."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    @property
    def out(self) -> str:
        return self._out.read_text("utf-8")

    @property
    def err(self) -> str:
        return self._err.read_text("utf-8")


@contextmanager
def command(folder: Path, queries: Path, server: GeminiServer, *options: str, **variables: str) -> Iterator[Command]:
    """Start the command; nothing of it is left behind."""
    running = Command(folder, queries, server, *options, **variables)
    try:
        yield running
    finally:
        running.kill_group(SIGKILL)
        running.process.wait()
