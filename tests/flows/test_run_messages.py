"""What a run says in the UI: its result as the message of its state; a mistake in one sentence; tasks by name."""

import logging
import sys
from collections.abc import Iterator

import pytest
from prefect import flow, task
from prefect.flow_engine import run_flow
from prefect.logging import get_logger
from prefect.settings import PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW, temporary_settings

from routecal.flows.run_messages import PlainMessages, completed
from routecal.storage.input_errors import InputMissing


@task(name="read", task_run_name="read {path}")
def read(path: str) -> str:
    if path == "gone":
        raise InputMissing(path)
    if path == "bug":
        raise ZeroDivisionError("a fault of ours")
    return path


@flow(name="reading")
def reading(path: str) -> str:
    return completed(read(path), f"read {path}", report="/reports/1")


@pytest.fixture
def logged(_own_results: None) -> Iterator[list[logging.LogRecord]]:
    """Every record of Prefect's loggers of runs, and of ours, as handlers get them."""
    found: list[logging.LogRecord] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record)

    loggers = [logging.getLogger(name) for name in ("prefect.flow_runs", "prefect.task_runs", "routecal.flows")]
    listener, levels = Listener(), [log.level for log in loggers]
    for log in loggers:
        log.setLevel(logging.INFO)
        log.addHandler(listener)
    yield found
    for log, level in zip(loggers, levels, strict=True):
        log.removeHandler(listener)
        log.setLevel(level)


def run_by_worker(path: str) -> None:
    """As Prefect's worker does, which logs once more how a run ended."""
    with temporary_settings({PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW: "ignore"}):
        run_flow(reading, parameters={"path": path}, error_logger=get_logger("flow_runs"))


def said(logged: list[logging.LogRecord], level: int) -> list[str]:
    return [record.getMessage() for record in logged if record.levelno == level]


def test_a_good_run_ends_with_its_result_and_where_that_is(logged: list[logging.LogRecord]) -> None:
    state = reading("here", return_state=True)
    assert state.message == "read here"
    assert state.result() == "here"
    assert said(logged, logging.INFO)[-3:] == ["read here: done", "report: /reports/1", "Completed: read here"]
    assert said(logged, logging.ERROR) == []


def test_who_calls_a_flow_gets_the_result_and_no_state() -> None:
    assert completed("result", "message") == "result"


def test_a_mistake_is_one_sentence_without_a_traceback(logged: list[logging.LogRecord]) -> None:
    with pytest.raises(InputMissing):
        run_by_worker("gone")
    assert said(logged, logging.ERROR) == ["read gone: Failed", str(InputMissing("gone"))]
    assert not any(record.exc_info for record in logged)
    assert said(logged, logging.INFO)[-1] == "Failed"


def test_a_fault_of_ours_keeps_its_traceback(logged: list[logging.LogRecord]) -> None:
    with pytest.raises(ZeroDivisionError):
        run_by_worker("bug")
    traces = [record.getMessage() for record in logged if record.exc_info]
    assert [text.split(":")[0] for text in traces] == [
        "read bug",
        "Encountered exception during execution",
        "Engine execution exited with unexpected exception",
    ]


def record_of(name: str, message: str, error: Exception | None = None, **extra: str) -> logging.LogRecord:
    try:
        if error is not None:
            raise error
    except type(error or Exception):
        found = sys.exc_info()
    else:
        found = None
    record = logging.LogRecord(name, logging.INFO, __file__, 1, message, (), found)
    record.__dict__.update(extra)
    return record


@pytest.mark.parametrize(
    ("name", "message", "words"),
    [
        ("prefect.task_runs", "Finished in state Cached(type=COMPLETED)", "label 9: done before, result reused"),
        ("prefect.task_runs", "Finished in state Completed()", "label 9: done"),
        ("prefect.task_runs", "Finished in state Crashed('gone')", "label 9: Crashed"),
        ("prefect.task_runs", "Task run failed; Retry 1/3 will start 100% later", None),
        ("prefect.flow_runs", "Finished in state Completed()", "Completed"),
        ("prefect.flow_runs", "Finished in state Completed('saves 10%, it\\'s shown')", None),
        ("prefect.flow_runs", "Finished in state Failed('Flow run encountered an exception: X')", "Failed"),
        ("prefect.flow_runs", "Beginning flow run", "Beginning flow run"),
    ],
)
def test_ends_of_runs_are_in_plain_words(name: str, message: str, words: str | None) -> None:
    record = record_of(name, message, task_run_name="label 9")
    assert PlainMessages().filter(record)
    if words is None:
        words = f"label 9: {message}" if name == "prefect.task_runs" else "Completed: saves 10%, it\\'s shown"
    assert record.getMessage() == words


@pytest.mark.parametrize("name", ["prefect.task_runs", "prefect.engine", "prefect.flow_runs"])
def test_what_repeats_a_mistake_is_not_logged(name: str) -> None:
    record = record_of(name, "Engine execution exited with unexpected exception", InputMissing("gone"))
    assert not PlainMessages().filter(record)
