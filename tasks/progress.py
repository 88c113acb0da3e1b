"""Progress of long work: a bar in a terminal, a log line now and then elsewhere, an artifact in the Prefect UI."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext, TaskRunContext
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining
from rich.text import Text

from routecal.tasks.markdown import safe

T = TypeVar("T")

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 15.0
# Between updates of an artifact.
SECONDS_BETWEEN = 10.0


class Bars(Progress):
    """Bars, and under them one line of words that may be longer than the terminal is wide."""

    line = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        """The bars, then the line, which is text and not markup."""
        yield self.make_tasks_table(self.tasks)
        if self.line:
            yield Text(self.line)


# One per process, like the terminal it draws on. Not a context variable: Prefect runs tasks in other threads.
_shown: list[Bars] = []


@contextmanager
def progress_shown(console: Console) -> Iterator[None]:
    """Draw bars on `console` for as long as the block runs; a file or a pipe gets a line now and then."""
    if not console.is_terminal:
        with _warnings_above(console), _lines(console):
            yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bars(*columns, TimeElapsedColumn(), Remaining(), console=console) as progress:
        _shown.append(progress)
        try:
            with _warnings_above(progress.console):
                yield
        finally:
            _shown.remove(progress)


class _Above(logging.Handler):
    """Prints our own warnings in their own words, above the bars; and lines of progress where there are none."""

    def __init__(self, console: Console, level: int = logging.WARNING) -> None:
        super().__init__(level)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        if _is_ours(record):
            level = f"{record.levelname.lower()}: " if record.levelno > logging.INFO else ""
            self._console.print(Text(f"{level}{record.getMessage()}"), soft_wrap=True)


@contextmanager
def _lines(console: Console) -> Iterator[None]:
    """Have this module's log printed, and by nobody else."""
    printing, level, propagates = _Above(console, logging.INFO), logger.level, logger.propagate
    logger.addHandler(printing)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(printing)
        logger.setLevel(level)
        logger.propagate = propagates


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.startswith("routecal.")


@contextmanager
def _warnings_above(console: Console) -> Iterator[None]:
    """Have our warnings printed above the bars, and by nobody else: what writes to the terminal itself tears them."""
    from prefect.logging.handlers import PrefectConsoleHandler

    root, above = logging.getLogger(), _Above(console)
    others = [h for h in root.handlers if isinstance(h, PrefectConsoleHandler)]

    def not_ours(record: logging.LogRecord) -> bool:
        return not _is_ours(record)

    root.addHandler(above)
    for handler in others:
        handler.addFilter(not_ours)
    try:
        yield
    finally:
        root.removeHandler(above)
        for handler in others:
            handler.removeFilter(not_ours)


@contextmanager
def counted(what: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """Show work that others do: the block calls what it gets with how much is done and a line about it.

    Args:
        what: a few words, shown beside the bar.
        total: how much there is to do.
    """
    if _shown:
        bars = _shown[-1]

        def draw(done: int, line: str) -> None:
            bars.line = f"{what} {done:,}/{total:,} · {line}"

        try:
            yield draw
        finally:
            # What follows has bars of its own; how this ended stays above them.
            bars.console.print(Text(bars.line))
            bars.line = ""
        return
    logged, latest, printed = time.monotonic(), "", ""

    def log(done: int, line: str) -> None:
        nonlocal logged, latest, printed
        latest = f"{what}: {done:,} of {total:,}, {line}"
        if time.monotonic() - logged > SECONDS_BETWEEN_LINES:
            logged, printed = time.monotonic(), latest
            logger.info("%s", latest)

    try:
        yield log
    finally:
        if latest != printed:
            logger.info("%s", latest)


@contextmanager
def underway(what: str) -> Iterator[None]:
    """Show that something goes on which cannot be counted.

    Args:
        what: a few words, shown beside the bar.
    """
    if not _shown:
        logger.info("%s …", what)
        yield
        return
    bar = _shown[-1].add_task(what, total=None)
    try:
        yield
    finally:
        _shown[-1].update(bar, total=1, completed=1)


def track(items: Sequence[T] | Iterable[T], what: str, *, total: int | None = None) -> Iterator[T]:
    """Yield `items` one by one, counting each as done when the next is taken.

    Args:
        items: work to do.
        what: a few words, shown beside the bar.
        total: how many; None takes `len(items)`.
    """
    total = len(items) if total is None and isinstance(items, Sequence) else total
    counted = _in_the_ui(items, what, total) if total else items
    if _shown:
        yield from _shown[-1].track(counted, total=total, description=what)
        return
    logged = started = time.monotonic()
    done = 0
    for done, item in enumerate(counted, 1):
        yield item
        if time.monotonic() - logged > SECONDS_BETWEEN_LINES and done != total:
            logged = time.monotonic()
            logger.info("%s: %d of %s after %.0f s", what, done, total or "?", logged - started)
    logger.info("%s: %d of %d after %.0f s", what, done, total or done, time.monotonic() - started)


def _in_the_ui(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """The same items; a flow run that takes long over them has a progress artifact."""
    if FlowRunContext.get() is None and TaskRunContext.get() is None:
        yield from items
        return
    artifact = ProgressArtifact(f"{what.lower().replace(' ', '-')}-progress")
    for done, item in enumerate(items):
        artifact.update(done, total)
        yield item
    artifact.update(total, total, now=True)


class ProgressArtifact:
    """One progress artifact, made when it has something to say and updated every few seconds. Only inside a flow run.

    Args:
        key: of the artifact; the UI shows all runs' under it.
        at_once: make it with the first update; else only for work that takes longer than `SECONDS_BETWEEN`.
    """

    def __init__(self, key: str, *, at_once: bool = False) -> None:
        self._key = key
        self._id: UUID | None = None
        self._updated = float("-inf") if at_once else time.monotonic()

    def update(self, done: int, total: int, line: str = "", *, now: bool = False) -> None:
        """Say how far the work is, unless it was said a moment ago.

        Args:
            done: of `total`.
            total: how much there is to do.
            line: more about it.
            now: say it, whenever it was said last; work that was never worth an artifact is not given one.
        """
        if time.monotonic() - self._updated < SECONDS_BETWEEN and not (now and self._id):
            return
        self._updated = time.monotonic()
        share, words = 100.0 * done / max(total, 1), f"{done:,} of {total:,}" + (f": {safe(line)}" if line else "")
        try:
            if self._id is None:
                self._id = UUID(str(create_progress_artifact(share, key=self._key, description=words)))
            else:
                update_progress_artifact(self._id, share, description=words)
        # The server may be away for a while; the work goes on without it.
        except Exception as error:
            logger.warning("the progress artifact could not be updated: %s", error)
