"""Labelling runs that are killed, as processes of their own against a server that outlives them."""

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from prefect.settings import PREFECT_API_URL

from tests.bench.workload import ROOT, environment
from tests.flows.lakes import Command, command, lakes_file
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import GeminiServer, serving
from tests.patience import PATIENCE_S
from tests.tasks.oracle.labelling import JUDGE, KEY, LARGE, MEDIUM, by_number

pytestmark = pytest.mark.served


def all_models(script: Script) -> dict[str, Script]:
    return dict.fromkeys((MEDIUM, LARGE, JUDGE), script)


def until(condition: Callable[[], bool], running: subprocess.Popen | Command) -> None:
    """Wait for something that a process brings about, unless it ends."""
    process = running.process if isinstance(running, Command) else running
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, running.err if isinstance(running, Command) else process.args
        assert time.monotonic() < deadline
        time.sleep(0.005)


def ledger_of(folder: Path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(folder / "home" / "ledger.sqlite")) as ledger:
        return ledger.execute(query).fetchall()


def in_flight(folder: Path) -> int:
    """Calls that the ledger holds as sent and not answered."""
    return int(ledger_of(folder, "SELECT COUNT(*) FROM calls WHERE state = 'started'")[0][0])


# ---- the engine without Prefect, killed again and again


def engine(folder: Path, queries: Path, server: GeminiServer, *options: str) -> subprocess.Popen:
    arguments = [sys.executable, "-m", "tests.bench.engine_run", str(queries), server.url, *options]
    env = environment(folder) | {"GEMINI_API_KEY": KEY}
    return subprocess.Popen(arguments, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen) -> tuple[dict, str]:
    """What it printed on either stream, once it has ended well."""
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    return json.loads(out), err


def test_three_kills_cost_at_most_what_was_in_flight_and_the_run_says_so(tmp_path: Path) -> None:
    rng, n = random.Random(11), 150
    queries, tables, lost = lakes_file(tmp_path, n), {}, 0
    for name in ("undisturbed", "killed"):
        folder = tmp_path / name
        folder.mkdir()
        late = Script(latency_s=0.1, latency_sd_s=0.05, seed=3)
        with serving(all_models(late), respond=by_number()) as server:
            for _ in range(3 if name == "killed" else 0):
                killed_at = server.requests() + rng.randrange(20, 130)
                with engine(folder, queries, server) as process:
                    until(lambda: server.requests() >= killed_at, process)  # noqa: B023
                    process.kill()
                    process.communicate()
                # Some of these were taken over from the run before, and count again.
                lost += in_flight(folder)
            said, err = finished(engine(folder, queries, server, "--out", str(folder / "labels.parquet")))
            twice = server.stats()["billed_twice"]
            assert server.stats()["billed_once"] == len(ledger_of(folder, "SELECT key FROM calls"))
        tables[name] = pq.read_table(folder / "labels.parquet")
        if name == "undisturbed":
            assert (said["lost"], twice, err) == (0, 0, "")
    assert tables["killed"].equals(tables["undisturbed"])
    assert tables["killed"].num_rows == n
    # Each kill left something in flight, what was paid twice is among it, and what is said is the truth.
    assert 0 < twice <= said["lost"] == lost
    [announced] = [line for line in err.splitlines() if "in flight" in line]
    assert announced.endswith("they are asked again, and may be billed twice")
    assert 0 < int(announced.split()[0]) <= lost


def test_two_processes_share_one_ledger_and_pay_once(tmp_path: Path) -> None:
    queries = lakes_file(tmp_path, 60)
    with serving(all_models(Script(latency_s=0.1)), respond=by_number()) as server:
        outs = [tmp_path / f"{i}.parquet" for i in range(2)]
        running = [engine(tmp_path, queries, server, "--out", str(out)) for out in outs]
        said = [finished(process)[0] for process in running]
        assert server.stats()["billed_twice"] == 0
        assert sum(s["calls"] for s in said) == server.stats()["billed"]
    one, other = (pq.read_table(out) for out in outs)
    assert one.equals(other)


# ---- the command line


def sentence(running: Command) -> str:
    """The last word, which is also the only one with our name before it."""
    said = [line for line in running.err.splitlines() if line.startswith("routecal: ")]
    assert len(said) == 1, running.err
    assert "Traceback" not in running.err
    return said[0]


def test_ctrl_c_in_a_terminal_drains_and_the_same_command_goes_on(prefect_server: None, tmp_path: Path) -> None:
    """The first has no server but Prefect's temporary one, which gets the same SIGINT from the terminal."""
    api = {"PREFECT_API_URL": PREFECT_API_URL.value()}
    queries, n = lakes_file(tmp_path, 80), 80
    with serving(all_models(Script(latency_s=0.3)), respond=by_number()) as server:
        with command(tmp_path, queries, server, "--concurrency", "8") as first:
            until(lambda: server.requests() >= first.before + 30, first)
            first.kill_group(signal.SIGINT)
            until(lambda: "warning: Ctrl-C: storing the calls in flight, then ending" in first.err, first)
            sent = server.requests()
            assert first.process.wait(PATIENCE_S) == 130
        assert "stopped by Ctrl-C; finished answers are stored: run the same command again" in sentence(first)
        # Nothing was given up, and only what had its place already, eight at each of three models, was sent after that.
        assert in_flight(tmp_path) == 0
        assert ledger_of(tmp_path, "SELECT COUNT(*) FROM attempts") == [(0,)]
        assert server.requests() <= sent + 3 * 8 < 3 * n

        # The partial labels can be used, and whatever reads them asks nothing.
        before = server.requests()
        stats = [sys.executable, "-m", "routecal", "stats"]
        done = subprocess.run(stats, cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert server.requests() == before

        server.script(all_models(Script()))
        with command(tmp_path, queries, server, "--quota", "again", **api) as second:
            assert second.process.wait(PATIENCE_S) == 0, second.err
        assert f"labels  {n} rows" in second.out
        assert server.stats()["billed_twice"] == 0
        assert server.stats()["billed"] == len(ledger_of(tmp_path, "SELECT key FROM calls"))


def test_a_kill_is_owned_up_to_on_the_terminal(prefect_server: None, tmp_path: Path) -> None:
    api = {"PREFECT_API_URL": PREFECT_API_URL.value()}
    queries = lakes_file(tmp_path, 40)
    with serving(all_models(Script(latency_s=0.2)), respond=by_number()) as server:
        with command(tmp_path, queries, server, "--quota", "killed", **api) as first:
            until(lambda: server.requests() >= first.before + 25, first)
            first.process.kill()
            first.process.wait()
        lost = in_flight(tmp_path)
        assert lost > 0
        # The slots of a killed run are held until their lease ends; another limit need not wait for that.
        with command(tmp_path, queries, server, "--quota", "alive", **api) as second:
            assert second.process.wait(PATIENCE_S) == 0, second.err
        said = (
            f"{lost} calls were in flight when an earlier process died; they are asked again, and may be billed twice"
        )
        assert [line for line in second.err.splitlines() if "in flight when" in line] == [f"warning: {said}"]
        assert server.stats()["billed_twice"] <= lost
        assert "labels  40 rows" in second.out


def test_sigterm_drains_and_a_second_ctrl_c_gives_up(prefect_server: None, tmp_path: Path) -> None:
    api = {"PREFECT_API_URL": PREFECT_API_URL.value()}
    hanging = Script(steps=("ok",), then="slow", slow_s=60.0)
    folders = {name: tmp_path / name for name in ("terminated", "impatient")}
    for folder in folders.values():
        folder.mkdir()
    queries = lakes_file(tmp_path, 60)
    # Both at once: what takes time is mostly the start.
    with (
        serving(all_models(Script(latency_s=0.2)), respond=by_number()) as server,
        serving({MEDIUM: hanging}, respond=by_number()) as hung,
        command(folders["terminated"], queries, server, "--quota", "terminated", **api) as terminated,
        command(folders["impatient"], queries, hung, "--quota", "impatient", **api) as impatient,
    ):
        until(lambda: server.requests() >= 30, terminated)
        terminated.process.send_signal(signal.SIGTERM)
        until(lambda: hung.in_flight >= 10, impatient)
        impatient.kill_group(signal.SIGINT)
        until(lambda: "storing the calls in flight" in impatient.err, impatient)
        impatient.kill_group(signal.SIGINT)

        # Not 20 seconds of draining, nor the 120 that a request may take.
        assert impatient.process.wait(PATIENCE_S) == 130
        given_up = ledger_of(folders["impatient"], "SELECT message, usd FROM attempts")
        assert {message for message, _ in given_up} == {"given up while in flight"}
        assert all(usd > 0 for _, usd in given_up)
        assert len(given_up) == hung.stats()["billed"] - len(ledger_of(folders["impatient"], "SELECT key FROM calls"))
        assert "stopped by Ctrl-C" in sentence(impatient)

        assert terminated.process.wait(PATIENCE_S) == 143
        assert "stopped by SIGTERM; finished answers are stored: run the same command again" in terminated.err
        assert "Traceback" not in terminated.err
        assert ledger_of(folders["terminated"], "SELECT COUNT(*) FROM attempts") == [(0,)]
        assert server.stats()["billed"] == len(ledger_of(folders["terminated"], "SELECT key FROM calls"))
        assert in_flight(folders["terminated"]) == 0
