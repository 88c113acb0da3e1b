"""Prefect's state in SQLite and in PostgreSQL: the same job, and the same job again."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.served.conftest import Served, serving
from tests.storage.ledger.postgres import PASSWORD, PostgresServer, postgres

__all__ = ["postgres"]

# Other queries than any other test's, so that nothing of the first run is found.
SMALL = {"limit": 350, "epochs": 2, "hidden_units": 8, "medium_price": 1, "large_price": 20, "seed": 11}


@pytest.fixture(params=["sqlite", "postgres"])
def on_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    if request.param == "sqlite":
        yield request.getfixturevalue("served")
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = server.new_database()
    url = server.url(name).replace("postgresql:", "postgresql+asyncpg:")
    with serving(tmp_path_factory.mktemp("postgres"), PREFECT_SERVER_DATABASE_CONNECTION_URL=url) as running:
        yield running
        with psycopg.connect(server.url(name)) as connection:
            found = connection.execute("SELECT state_type, count(*) FROM flow_run GROUP BY 1").fetchall()
        assert found == [("COMPLETED", 2)]
    assert not list((running.folder / ".prefect").glob("*.db*"))
    assert [str(file) for file in everything(running.folder) if PASSWORD.encode() in file.read_bytes()] == []


def everything(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.rglob("*")) if file.is_file()]


def test_a_run_completes_and_the_next_finds_what_it_finished(on_database: Served, world: dict[str, str]) -> None:
    deployment = on_database.offer("calibrate", **world, **SMALL)
    states = []
    for _ in range(2):
        run = on_database.start(deployment)
        state = on_database.until(run, "COMPLETED", "FAILED", "CRASHED")
        assert state["type"] == "COMPLETED", state["message"]
        states.append(on_database.tasks(run))
    first, again = states
    assert {("label", "Completed"), ("extract", "Completed")} <= set(first)
    assert {state for _, state in first} == {"Completed"}
    assert len(again) == len(first)
    assert {name.partition("-")[0] for name, state in again if state != "Cached"} == {"publish", "report"}
