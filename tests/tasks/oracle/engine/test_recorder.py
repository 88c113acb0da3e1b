"""Group commits: durable on return, few transactions, nothing lost when one of them fails."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from routecal.storage.ledger import Attempt, CallEnd, CallStart, Ledger
from routecal.storage.ledger.ledger_errors import LedgerFull, LedgerLocked
from routecal.tasks.oracle.engine import recorder as module
from routecal.tasks.oracle.engine.recorder import Recorder
from tests.tasks.oracle.labelling import recorded


def start(key: str) -> CallStart:
    return CallStart(
        key, provider="gemini", model="m", stage="medium", job="j", prompt_version="v", tier="online", reserved_usd=0.5
    )


def end(key: str) -> CallEnd:
    return CallEnd(key, f"body of {key}", "m", "r", 1, 0, 2, 0, 0.25, 1, 20)


def attempt(key: str) -> Attempt:
    return Attempt(key, "j", "medium", "m", "transient", "503", "overloaded", None, 0.5)


def through(work: Callable[[Recorder], Coroutine[Any, Any, None]], **options: Any) -> None:
    """Do some work with a recorder on this test's ledger, and close it."""

    async def go() -> None:
        recorder = Recorder(Ledger.open(wait_s=0.2), **options)
        try:
            await work(recorder)
        finally:
            await recorder.close()

    asyncio.run(go())


class Failing:
    """Stands in for `Ledger.write` and fails the first times."""

    def __init__(self, ledger: Ledger, *errors: Exception) -> None:
        self._write, self.errors, self.n = ledger.write, list(errors), 0
        ledger.write = self  # type: ignore[method-assign]

    def __call__(self, **what: Any) -> Any:
        self.n += 1
        if self.errors:
            raise self.errors.pop(0)
        return self._write(**what)


FULL, LOCKED = LedgerFull("ledger.sqlite"), LedgerLocked("ledger.sqlite", 30.0)


def test_a_write_is_durable_on_return() -> None:
    async def work(recorder: Recorder) -> None:
        assert (await recorder.start(start("a"))).state == "ours"
        assert [row["state"] for row in recorded()] == ["started"]
        await recorder.end(end("a"))
        assert [(row["state"], row["response"]) for row in recorded()] == [("ended", "body of a")]
        await recorder.attempt(attempt("b"), release=True)
        assert [row["key"] for row in recorded("attempts")] == ["b"]
        assert (await recorder.find("a")).response == "body of a"
        assert await recorder.find("b") is None

    through(work)


def test_what_gathers_while_a_commit_runs_goes_into_the_next_one() -> None:
    async def work(recorder: Recorder) -> None:
        writes = Failing(recorder.ledger)
        keys = [f"k{i:03}" for i in range(200)]
        claims = await asyncio.gather(*(recorder.start(start(key)) for key in keys))
        assert {claim.state for claim in claims} == {"ours"}
        found = await asyncio.gather(*(recorder.find(key) for key in keys), *(recorder.end(end(key)) for key in keys))
        assert found == [None] * 400
        assert writes.n <= 6
        again = await asyncio.gather(*(recorder.find(key) for key in keys for _ in range(2)))
        assert [bought.response for bought in again] == [f"body of {key}" for key in keys for _ in range(2)]

    through(work)
    assert len(recorded()) == 200


def test_whoever_gave_up_waiting_is_passed_over() -> None:
    async def work(recorder: Recorder) -> None:
        tasks = [asyncio.create_task(recorder.end(end(key))) for key in "ab"]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await recorder.end(end("c"))

    through(work)
    assert {row["key"] for row in recorded()} == {"a", "b", "c"}


def test_what_is_noted_on_the_way_out_is_committed_before_the_end() -> None:
    async def work(recorder: Recorder) -> None:
        await recorder.start(start("a"))
        recorder.note(attempt("a"))

    through(work)
    assert recorded() == []
    assert [row["key"] for row in recorded("attempts")] == ["a"]


def test_a_claim_that_is_given_back_is_free() -> None:
    async def work(recorder: Recorder) -> None:
        await recorder.start(start("a"))
        await recorder.release("a")
        assert recorded() == []

    through(work)


def test_a_response_whose_commit_failed_is_told_and_stored_before_the_end() -> None:
    async def work(recorder: Recorder) -> None:
        await asyncio.gather(recorder.start(start("a")), recorder.start(start("b")))
        writes = Failing(recorder.ledger, FULL)
        ends = await asyncio.gather(
            recorder.end(end("a")), recorder.attempt(attempt("b"), release=True), return_exceptions=True
        )
        assert ends == [FULL, FULL]
        assert writes.n == 1
        # Others can go on meanwhile.
        assert (await recorder.start(start("c"))).state == "ours"
        await recorder.end(end("c"))

    through(work)
    assert {row["key"]: row["state"] for row in recorded()} == {"a": "ended", "c": "ended"}
    assert [row["key"] for row in recorded("attempts")] == ["b"]


def test_one_response_that_no_database_takes_does_not_cost_the_others() -> None:
    async def work(recorder: Recorder) -> None:
        await asyncio.gather(*(recorder.start(start(key)) for key in "abc"))
        odd = replace(end("b"), tokens_prompt=10**30)
        ends = await asyncio.gather(*map(recorder.end, (end("a"), odd, end("c"))), return_exceptions=True)
        assert {type(error) for error in ends} == {OverflowError}

    through(work)
    assert {row["key"]: row["state"] for row in recorded() if row["state"] == "ended"} == {"a": "ended", "c": "ended"}


def test_a_response_that_cannot_be_stored_at_all_is_owned_up_to(caplog: pytest.LogCaptureFixture) -> None:
    async def work(recorder: Recorder) -> None:
        Failing(recorder.ledger, FULL, FULL)
        with pytest.raises(LedgerFull):
            await recorder.end(end("a"))

    with caplog.at_level(logging.WARNING):
        through(work)
    assert "could not be stored, and may be paid again: 1 " in caplog.text


def test_a_failed_find_and_a_failed_claim_are_told() -> None:
    async def work(recorder: Recorder) -> None:
        Failing(recorder.ledger, LOCKED)
        found = await asyncio.gather(recorder.find("a"), recorder.start(start("a")), return_exceptions=True)
        assert found == [LOCKED, LOCKED]

    through(work)


def test_a_full_disk_is_reported_with_the_commit_that_met_it() -> None:
    full: list[bool] = []

    async def work(recorder: Recorder) -> None:
        await recorder.end(end("a"))
        assert full == []
        # The ledger has dropped its ballast, and the write went through.
        recorder.ledger._transactions.full = True
        await recorder.end(end("b"))
        assert full

    through(work, on_full=lambda: full.append(True))
    assert len(recorded()) == 2


def test_the_heart_beats_on_after_a_locked_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_S", 0.01)
    beats: list[int] = []

    async def work(recorder: Recorder) -> None:
        beaten = asyncio.Event()
        loop = asyncio.get_running_loop()

        def beat() -> None:
            beats.append(1)
            if len(beats) == 1:
                raise LOCKED
            loop.call_soon_threadsafe(beaten.set)

        recorder.ledger.beat = beat  # type: ignore[method-assign]
        await asyncio.wait_for(beaten.wait(), 10)

    through(work)
    assert len(beats) >= 2


def test_a_closed_recorder_takes_nothing_more() -> None:
    async def work(recorder: Recorder) -> None:
        await recorder.close()
        for late in (recorder.find("a"), recorder.start(start("a")), recorder.end(end("a"))):
            with pytest.raises(RuntimeError, match="closed"):
                await late

    async def go() -> None:
        await work(Recorder(Ledger.open()))

    asyncio.run(go())


def test_closing_ends_the_thread_even_if_the_ledger_is_gone() -> None:
    async def go() -> None:
        recorder = Recorder(Ledger.open(wait_s=0.2))
        await recorder.start(start("a"))
        path = recorder.ledger.name
        with sqlite3.connect(path, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerLocked):
                await recorder.close()
            other.execute("ROLLBACK")
        other.close()
        assert recorder._thread._shutdown

    asyncio.run(go())
