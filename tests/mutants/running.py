"""Tests run against a mutant: in a fork of a process that has everything of others in memory and nothing of ours."""

import gc
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, ModuleType

import hypothesis
import pytest

from tests.mutants.making import Mutant

# What a mutant changes is imported anew in every fork, and whatever may have taken something from it.
OURS = ("routecal", "tests")

# A test that has found a counter-example need not find the smallest, and the same mutant ends the same way each time.
hypothesis.settings.register_profile(
    "mutants",
    database=None,
    deadline=None,
    derandomize=True,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)

# What pytest would rewrite is in memory already.
_OPTIONS = ("-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore::pytest.PytestAssertRewriteWarning")


class _Source(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports one module from a text."""

    def __init__(self, file: Path, code: str) -> None:
        self.file, self.code = file, code
        self.module = ".".join(("routecal", *file.with_suffix("").parts))

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_file_location(name, self.file, loader=self) if name == self.module else None

    def get_source(self, fullname: str) -> str:
        return self.code

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.code, str(self.file), "exec")

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None


class _QuickestFirst:
    """A pytest plugin: tests in the order of how long they took with the module as it is."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.seconds: dict[str, float] = json.loads(file.read_text()) if file.exists() else {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: self.seconds.get(item.nodeid, 0.0))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        if not self.file.exists():
            self.file.write_text(json.dumps(self.seconds))


def survivors(
    file: Path, mutants: Iterable[Mutant], tests: Sequence[str], *, workers: int = 2
) -> Iterator[tuple[Mutant, bool]]:
    """Each mutant of the module `file` (relative to the root), and whether all `tests` pass with it, as they end.

    A mutant that takes ten times as long as the module itself, and half a minute, does not survive.

    Raises:
        RuntimeError: the tests do not pass with the module as it is.
    """
    pytest.main(["--collect-only", "-qq", *_OPTIONS, *tests])
    for name in [name for name in sys.modules if name.split(".")[0] in OURS and not name.startswith("tests.mutants")]:
        del sys.modules[name]
    gc.collect()
    gc.freeze()  # pytest collects garbage when it ends, and would go through all of this in every fork
    with TemporaryDirectory() as folder:
        seconds = Path(folder) / "seconds.json"
        begun = time.monotonic()
        _, status = os.waitpid(_start(file, file.read_text(encoding="utf-8"), tests, seconds), 0)
        if status:
            raise RuntimeError(f"the tests of {file} do not pass: run pytest {' '.join(tests)}")
        limit = max(30.0, 10 * (time.monotonic() - begun))
        waiting, running = iter(mutants), dict[int, tuple[Mutant, float]]()
        while True:
            while len(running) < workers and (mutant := next(waiting, None)):
                running[_start(file, mutant.code, tests, seconds)] = mutant, time.monotonic() + limit
            if not running:
                return
            process, status = os.waitpid(-1, os.WNOHANG)
            if process in running:
                yield running.pop(process)[0], status == 0
                continue
            for late in [process for process, (_, end) in running.items() if time.monotonic() > end]:
                os.killpg(late, signal.SIGKILL)
            time.sleep(0.02)


def _start(file: Path, code: str, tests: Sequence[str], seconds: Path) -> int:
    """Run `tests` in a fork where `file` has another text; returns its process."""
    if process := os.fork():
        return process
    status = 1
    try:
        os.setsid()
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        source = _Source(file, code)
        sys.meta_path.insert(0, source)
        importlib.import_module(source.module)
        with TemporaryDirectory() as folder:
            plugin = _QuickestFirst(seconds)
            status = int(
                pytest.main(
                    ["-x", "--hypothesis-profile=mutants", *_OPTIONS, f"--basetemp={folder}/pytest", *tests],
                    plugins=[plugin],
                )
            )
    finally:
        os._exit(status)
