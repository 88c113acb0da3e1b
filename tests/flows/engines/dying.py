"""Tasks that a test sends to workers in place of extraction: one dies in its work, others wait for each other."""

import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

from prefect import Task

from routecal.calib.settings import Reading
from routecal.storage.artifact import Artifact
from routecal.tasks import extract
from routecal.tasks.cache import step

read_shard = extract.extract_shard.fn


def _dies_once(death: str, queries: Artifact, router: Artifact, reading: Reading, version: str = "1") -> Any:
    """Read a shard; the first worker that comes to write one is killed, as the kernel kills one without memory."""
    write = extract.write_table

    def write_or_die(*args: Any, **more: Any) -> Artifact:
        try:
            Path(death).touch(exist_ok=False)
        except FileExistsError:
            return write(*args, **more)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    extract.write_table = write_or_die
    try:
        return read_shard(queries, router, reading)
    finally:
        extract.write_table = write


def _dies_always(queries: Artifact, router: Artifact, reading: Reading, version: str = "1") -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def _both_write(folder: str, queries: Artifact, router: Artifact, reading: Reading, version: str = "1") -> Any:
    """Read a shard, and write it when another worker is about to write its own."""
    write = extract.write_table

    def write_together(*args: Any, **more: Any) -> Artifact:
        Path(folder, str(os.getpid())).touch()
        until = time.monotonic() + 60
        while len(os.listdir(folder)) < 2:  # two processes have nothing but files between them
            assert time.monotonic() < until
            time.sleep(0.005)
        return write(*args, **more)

    extract.write_table = write_together
    try:
        return read_shard(queries, router, reading)
    finally:
        extract.write_table = write


def _as_extract(function: Any) -> Task[..., Any]:
    function.__name__ = "extract"
    return step("extract", "extract {queries.rows} queries", on=None)(function)


def dies_once(death: Path) -> Task[..., Any]:
    """A task like extraction; `death` is made when a worker dies."""

    def task(queries: Artifact, router: Artifact, reading: Reading, version: str = "1") -> Any:
        return _dies_once(str(death), queries, router, reading, version)

    return _as_extract(task)


def dies_always() -> Task[..., Any]:
    """A task like extraction that no worker survives."""
    return _as_extract(partial(_dies_always).func)


def both_write(folder: Path) -> Task[..., Any]:
    """A task like extraction that two workers end at once."""

    def task(queries: Artifact, router: Artifact, reading: Reading, version: str = "1") -> Any:
        return _both_write(str(folder), queries, router, reading, version)

    return _as_extract(task)
