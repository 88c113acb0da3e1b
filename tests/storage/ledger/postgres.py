"""A real PostgreSQL server on loopback, from the system's own binaries; one per test process."""

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, text

PASSWORD = "only-for-tests"
_numbers = itertools.count()


class PostgresServer:
    """A server in a folder of its own, with one superuser `routecal`."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries, self._data = binaries, folder / "data"
        self._log = folder / "log"
        self._as: dict[str, object] = {"cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}}
        if os.geteuid() == 0:
            # The server refuses to run as root.
            user = next(u for u in pwd.getpwall() if u.pw_name in ("postgres", "nobody"))
            os.chown(folder, user.pw_uid, user.pw_gid)
            self._as |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        secret = folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        options = ["--username=routecal", f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"]
        self._call("initdb", *options, "-D", str(self._data))
        # fsync matters when the machine dies, which no test does to it.
        settings = {
            "listen_addresses": "'127.0.0.1'",
            "port": self.port,
            "unix_socket_directories": "''",
            "fsync": "off",
            "deadlock_timeout": "100ms",
        }
        with open(self._data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.writelines(f"{key} = {value}\n" for key, value in settings.items())
        self.control("start")

    def control(self, verb: str, *options: str) -> None:
        """`pg_ctl start`, `stop` or `restart`; waits until it is done."""
        self._call("pg_ctl", verb, "-w", "-D", str(self._data), "-l", str(self._log), *options)

    def url(self, database: str = "postgres", password: str = PASSWORD) -> str:
        """The URL of a database, password in clear."""
        place = URL.create("postgresql", "routecal", password, "127.0.0.1", self.port, database)
        return place.render_as_string(hide_password=False)

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run one statement outside of transactions."""
        url = self.url(database).replace("postgresql:", "postgresql+psycopg:")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()

    def fresh_url(self) -> str:
        """The URL of an empty schema, which is much cheaper than a database."""
        name = f"ledger{next(_numbers)}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"{self.url()}?options=-csearch_path%3D{name}"

    def new_database(self) -> str:
        """The name of a database that is empty."""
        name = f"ledger{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def _call(self, program: str, *options: str) -> None:
        # The server keeps the standard streams of pg_ctl open; a pipe would never end.
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(
                [str(self._binaries / program), *options],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=60, **self._as,
            )  # fmt: skip
            said.seek(0)
            assert done.returncode == 0, said.read().decode()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running server; the tests that need it are skipped where PostgreSQL is not installed."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if not installed and (elsewhere := shutil.which("initdb")):
        installed = [Path(elsewhere)]
    if not installed:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")
    folder = Path(tempfile.mkdtemp(prefix="routecal-postgres-"))
    try:
        server = PostgresServer(installed[-1].parent, folder)
        try:
            yield server
        finally:
            server.control("stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
