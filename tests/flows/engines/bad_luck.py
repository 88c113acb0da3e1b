"""Tasks that tests send to workers in place of extraction: a worker dies in its shard, or two end theirs at once."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from prefect import Task

from routecal.tasks import extract
from routecal.tasks.cache import step


def die() -> None:
    """End this worker as the kernel ends one that takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(death: str) -> None:
    """The first worker that comes here dies and leaves the file `death`."""
    try:
        Path(death).touch(exist_ok=False)
    except FileExistsError:
        return
    die()


def wait_for_another(folder: str) -> None:
    """Until two workers were here. Two processes have nothing but files between them."""
    Path(folder, str(os.getpid())).touch()
    until = time.monotonic() + 60
    while len(os.listdir(folder)) < 2:
        assert time.monotonic() < until
        time.sleep(0.005)


def _not_here() -> None:
    raise ModuleNotFoundError("No module named 'only_here'")


class OnlyHere:
    """As if of a module that workers do not have: it can be pickled, and not be read again."""

    def __call__(self) -> None:
        raise AssertionError

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _not_here, ()


def extraction_with(before_writing: Callable[..., None], *arguments: str) -> Task[..., Any]:
    """The task of extraction; what a shard was read to is written after a call of `before_writing`."""

    def extract_shard(queries: Any, router: Any, reading: Any, version: str = extract.EXTRACT_VERSION) -> Any:
        # Looked up on the worker, whose module is as it was written.
        read, write_table = extract.extract_shard.fn, extract.write_table

        def write(*args: Any, **more: Any) -> Any:
            before_writing(*arguments)
            return write_table(*args, **more)

        with patch.object(extract, "write_table", write):
            return read(queries, router, reading, version)

    return step("extract", "extract {queries.rows} queries", on=None)(extract_shard)
