"""What Ctrl-C and SIGTERM do to a labelling run: drain, give up, and hand on."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from routecal.tasks.oracle.engine.stop_reasons import Interrupted
from routecal.tasks.oracle.job_runner import JobRunner, stopping_on_signal
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import serving
from tests.tasks.oracle.labelling import (
    LARGE,
    MEDIUM,
    by_number,
    desk_at,
    paid_once,
    recorded,
)
from tests.tasks.oracle.test_job_runner import HANGING, _no_thread_is_left, begun

__all__ = ["_no_thread_is_left"]


def test_the_first_signal_drains_and_the_handlers_are_put_back() -> None:
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    slow = Script(latency_s=0.2)
    with serving({MEDIUM: slow, LARGE: slow}, respond=by_number()) as server:
        with ThreadPoolExecutor() as pool, desk_at(server, 50, concurrency=4) as runner, stopping_on_signal(runner):
            future = begun(server, runner, pool, 50)
            signal.raise_signal(signal.SIGINT)
            assert isinstance(future.result().error, Interrupted)
            assert "Ctrl-C" in str(future.result().error)
        assert recorded("attempts") == []
        paid_once(server, len(recorded()))
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.usefixtures("interruptible")
def test_the_second_signal_gives_up_what_is_in_flight_and_the_third_is_as_ever() -> None:
    with serving({MEDIUM: HANGING}, respond=by_number()) as server:
        with ThreadPoolExecutor() as pool, desk_at(server, 4) as runner, stopping_on_signal(runner):
            future = begun(server, runner, pool, 4, served_=3)
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            # Long before the drain would have been over.
            assert isinstance(future.result(timeout=15).error, Interrupted)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert {row["message"] for row in recorded("attempts")} == {"given up while in flight"}
        assert len(recorded("attempts")) == server.stats()["billed"] - len(recorded())


def test_sigterm_is_handed_on_once_everything_is_stored() -> None:
    handed_on: list[int] = []

    def handler(number: int, frame: object) -> None:
        handed_on.append(number)

    before = signal.signal(signal.SIGTERM, handler)
    try:
        slow = Script(latency_s=0.2)
        with serving({MEDIUM: slow}, respond=by_number()) as server:
            with ThreadPoolExecutor() as pool, desk_at(server, 30, concurrency=4) as runner:
                with stopping_on_signal(runner):
                    future = begun(server, runner, pool, 30)
                    signal.raise_signal(signal.SIGTERM)
                    assert isinstance(future.result().error, Interrupted)
                    assert handed_on == []
                assert handed_on == [signal.SIGTERM]
            paid_once(server, len(recorded()))
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("interruptible")
def test_other_threads_leave_signals_alone() -> None:
    def look(runner: JobRunner) -> bool:
        with stopping_on_signal(runner):
            return signal.getsignal(signal.SIGINT) is signal.default_int_handler

    with serving() as server, desk_at(server, 1) as runner, ThreadPoolExecutor() as pool:
        assert pool.submit(look, runner).result()
