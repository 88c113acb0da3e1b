"""Batch jobs outlive runs: whatever a run leaves behind, the next one takes up, and nothing is paid twice."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from routecal.storage.ledger import Ledger
from routecal.tasks.oracle.batch import store_results
from routecal.tasks.oracle.batch.create_job import Maker
from routecal.tasks.oracle.engine.stop_reasons import Interrupted
from routecal.tasks.oracle.providers.batch_api import BatchApi
from tests.gemini_server.scripts import BatchScript, Script
from tests.gemini_server.server import serving
from tests.tasks.oracle.batch.batch_runs import states
from tests.tasks.oracle.batch.stopped_runs import STUCK, goes_on, interrupted, release, until
from tests.tasks.oracle.labelling import (
    LARGE,
    MEDIUM,
    by_number,
    recorded,
)

ROOT = Path(__file__).parents[4]


@contextmanager
def hanging(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, *, after: int = 0) -> Any:
    """Have a method stop for ever, at its first call or after some; yields what tells that it was reached."""
    real, calls, reached = getattr(where, name), [], []

    async def hang(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) <= after:
            return await real(*args, **kwargs)
        reached.append(args)
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(where, name, hang)
        yield lambda: bool(reached)


# ---- where a run can end


def test_a_stopped_run_leaves_its_jobs_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with serving(STUCK, respond=by_number()) as server:
        found = interrupted(server, lambda: server.stats()["models"].get("poll", {}).get("200", 0) > 3)
        assert isinstance(found.error, Interrupted)
        assert states() == {"created": 2}
        assert "2 batch jobs are under way; they go on, and the next run takes up what they bring" in caplog.text
        assert server.stats()["models"].get("cancel") is None
        release(server)
        goes_on(server)
        assert len(server.batches.jobs) == 3


@pytest.mark.parametrize(
    ("where", "name", "states_then"),
    [
        (BatchApi, "upload", {}),
        (BatchApi, "create", {"intended": 1}),
        (Maker, "created", {"intended": 1}),
        (BatchApi, "see", {"created": 2}),
        (BatchApi, "download", {"created": 2}),
        (Maker, "end", {"created": 2}),
    ],
    ids=[
        "before the intent",
        "before the job",
        "before its name is known",
        "before a look",
        "before its results",
        "last",
    ],
)
def test_the_next_run_goes_on_wherever_a_run_ends(
    where: type, name: str, states_then: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(respond=by_number()) as server:
        with hanging(monkeypatch, where, name) as reached:
            found = interrupted(server, lambda: reached() and states() == states_then)
        assert isinstance(found.error, Interrupted)
        assert states() == states_then
        jobs = len(server.batches.jobs)
        goes_on(server)
        # A job that was made is taken up, whether or not its maker was told.
        assert len(server.batches.jobs) == 3
        assert jobs == {"upload": 0, "create": 0, "created": 1}.get(name, 2)


def test_results_that_are_half_stored_are_stored_and_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_results, "CHUNK", 2)
    with serving(respond=by_number()) as server:
        with hanging(monkeypatch, store_results.ResultStore, "_store", after=3) as reached:
            first = interrupted(server, reached)
        assert 0 < len(recorded()) < 12
        second = goes_on(server)
        assert len(server.batches.jobs) == 3
    calls = recorded()
    assert first.tally.calls + second.tally.calls == len(calls)
    assert recorded("attempts") == []
    with Ledger.open() as ledger:
        spent = ledger.spent("job")
    assert (spent.usd, spent.maybe_usd) == (pytest.approx(first.tally.usd + second.tally.usd), 0.0)


@pytest.mark.parametrize("step", ["rst", "fin"])
def test_a_job_that_was_made_unheard_is_found_by_its_name(step: str) -> None:
    unheard = Script(batch=BatchScript(creates=(step,)))
    with serving({MEDIUM: unheard, LARGE: unheard}, respond=by_number()) as server:
        goes_on(server)
        assert server.statuses[f"{MEDIUM}:batch {step}"] == 1
        assert len(server.batches.jobs) == 3
    assert states() == {"SUCCEEDED": 3}


def test_a_killed_process_leaves_its_jobs_to_the_next(tmp_path: Path) -> None:
    program = """
        import sys
        from tests.tasks.oracle.labelling import asked, job_runner, oracle_of, shard, Gemini, Pace, KEY
        pace = Pace(job="job", base_url=sys.argv[1], backend="batch", poll_s=0.01)
        with job_runner(pace, lambda: [Gemini.create(key=KEY, base_url=sys.argv[1])], 6) as runner:
            shard(runner, asked(6), oracle_of())
    """
    with serving(STUCK, respond=by_number()) as server:
        command = [sys.executable, "-c", textwrap.dedent(program), server.url]
        with subprocess.Popen(command, cwd=ROOT) as process:
            until(lambda: server.stats()["models"].get("poll", {}).get("200", 0) > 3 or process.poll() is not None)
            os.kill(process.pid, signal.SIGKILL)
        assert states() == {"created": 2}
        release(server)
        goes_on(server)
        assert len(server.batches.jobs) == 3
