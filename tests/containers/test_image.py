"""The image, built by buildah on a Debian of debootstrap, and what compose.yaml starts of it: `make containers`.

Where no registry can be reached, so no base image be pulled. Root, buildah and debootstrap are needed; containers are
those of buildah's isolation by chroot, which share this machine's network.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from routecal.calib.policy import POLICIES
from tests.containers.test_manifests import COMPOSE, FOLDER
from tests.patience import PATIENCE_S
from tests.served.conftest import Served, free_port
from tests.storage.ledger.postgres import PASSWORD, PostgresServer, postgres
from tests.tasks.made import outcome_rows, texts, write_jsonl
from tests.test_layering import ROOT

__all__ = ["postgres"]
pytestmark = pytest.mark.containers
BASE, IMAGE = "docker.io/library/routecal-debian:latest", "docker.io/library/routecal:latest"


def buildah(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["buildah", *words], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done


def pip_mounts() -> list[str]:
    """Where this machine's pip is told to look, for the pip of the build: files, and folders that they name.

    Pages of an index on the disk link to files beside the index, so the folder that holds it comes along.
    """
    said = subprocess.run([sys.executable, "-m", "pip", "config", "debug"], capture_output=True, text=True, check=True)
    files = [line.split(", ")[0].strip() for line in said.stdout.splitlines() if line.endswith("exists: True")]
    words = [word for line in said.stdout.splitlines() for word in line.split()[1:]]
    named = {os.path.dirname(w.removeprefix("file://")) if w.startswith("file://") else w for w in words}
    places = {*files, *(word for word in named if word.startswith("/") and os.path.exists(word)), "/etc/ssl/certs"}
    return [word for place in sorted(places) for word in ("--volume", f"{place}:{place}:ro")]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store of images of its own, removed at the end."""
    if os.geteuid() or not (shutil.which("buildah") and shutil.which("debootstrap")):
        pytest.skip("images are built by root, with the Debian packages buildah and debootstrap")
    folder = tmp_path_factory.mktemp("images")
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
    )
    os.environ["CONTAINERS_STORAGE_CONF"] = str(folder / "storage.conf")
    yield folder
    buildah("rm", "--all")
    buildah("rmi", "--all", "--force")
    del os.environ["CONTAINERS_STORAGE_CONF"]


@pytest.fixture(scope="session")
def container(store: Path) -> str:
    """A container of the image; several commands may run in it."""
    subprocess.run(
        ["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", str(store / "debian")], check=True
    )
    base = buildah("from", "scratch").stdout.strip()
    buildah("add", "--quiet", base, str(store / "debian"), "/")
    buildah("commit", "--quiet", base, BASE)
    arguments = {"BASE": BASE, "TORCH_INDEX": "", "COMMIT": "0123456789ab", "EXTRAS": "postgres,serve"}
    given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    own = ["--file", str(FOLDER / "Dockerfile"), "--ignorefile", str(FOLDER / "Dockerfile.dockerignore")]
    buildah(
        "bud",
        "--format",
        "docker",
        "--isolation",
        "chroot",
        "--pull-never",
        *pip_mounts(),
        *given,
        *own,
        "--tag",
        IMAGE,
        str(ROOT),
    )
    return buildah("from", "--pull-never", IMAGE).stdout.strip()


def config() -> dict[str, Any]:
    """Entry point, user and health check, as whoever pulls the image finds them."""
    said = json.loads(buildah("inspect", "--type", "image", IMAGE).stdout)
    found: dict[str, Any] = said["Docker"]["config"]
    return found


def command_of(container: str, words: list[str], mounts: list[str], **variables: str) -> list[str]:
    """The words in the container, through its entry point, as its user."""
    env = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
    entry = config()["Entrypoint"]
    return ["buildah", "run", "--isolation", "chroot", *mounts, *env, container, "--", *entry, *words]


def test_it_is_not_root_and_says_what_it_is(container: str) -> None:
    assert config()["User"] == "routecal"
    said = subprocess.run(command_of(container, ["routecal", "--version"], []), capture_output=True, text=True)
    assert said.stdout.startswith("routecal "), said.stderr
    assert said.stdout.endswith("+g0123456789ab\n")
    who = subprocess.run(command_of(container, ["id", "-u"], []), capture_output=True, text=True)
    assert who.stdout == "1000\n", who.stderr


@contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command that is ended with all that it started."""
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Services(NamedTuple):
    """The services of compose.yaml on this machine's network.

    Attributes:
        container: where they run.
        folder: holds the folder that they see as /data, the secret and logs.
        databases: URLs without the password.
        ports: at which server and worker say how they are.
    """

    container: str
    folder: Path
    databases: dict[str, str]
    ports: dict[str, int]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['server']}"

    def command(self, service: str, *words: str) -> list[str]:
        """What the service runs, or these words in its place."""
        secret = f"{self.folder}/password:/run/secrets/database_password:ro"
        mounts = ["--volume", f"{self.folder}/data:/data", "--volume", secret]
        own = list(words) or COMPOSE["services"][service]["command"]
        return command_of(self.container, own, mounts, **self.variables(service))

    def variables(self, service: str) -> dict[str, str]:
        """Those of compose.yaml, with this machine's addresses in place of those of compose's network."""
        found = {name: str(value) for name, value in COMPOSE["services"][service]["environment"].items()}
        found |= {"PREFECT_API_URL": f"{self.url}/api", "PREFECT_SERVER_API_PORT": str(self.ports["server"])}
        found |= {"ROUTECAL_LEDGER_URL": self.databases["ledger"], "ROUTECAL_TIMEZONE": "UTC"}
        if service == "server":
            url = self.databases["prefect"].replace("postgresql:", "postgresql+asyncpg:")
            found |= {"PREFECT_SERVER_API_HOST": "127.0.0.1", "PREFECT_SERVER_DATABASE_CONNECTION_URL": url}
            found["ROUTECAL_HEALTH_URL"] = f"{self.url}/api/health"
        if service == "worker":
            found["PREFECT_WORKER_WEBSERVER_PORT"] = str(self.ports["worker"])
            found["ROUTECAL_HEALTH_URL"] = f"http://127.0.0.1:{self.ports['worker']}/health"
        return found

    def wait_for(self, service: str, process: subprocess.Popen[bytes]) -> None:
        """Until the image's own health check passes."""
        kind, *check = config()["Healthcheck"]["Test"]
        assert kind == "CMD"
        end = time.monotonic() + PATIENCE_S
        while subprocess.run(self.command(service, *check), capture_output=True, check=False).returncode:
            log = (self.folder / ".prefect" / f"{service}.log").read_text()[-4000:]
            assert process.poll() is None, log
            assert time.monotonic() < end, log
            time.sleep(1)


@pytest.fixture
def services(container: str, postgres: PostgresServer, tmp_path: Path) -> Services:
    data = tmp_path / "data"
    for folder in (data, tmp_path / ".prefect"):
        folder.mkdir()
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    for path in (data, tmp_path / "password"):
        os.chown(path, 1000, 1000)
    urls = {name: postgres.url(postgres.new_database()).replace(f":{PASSWORD}@", "@") for name in ("prefect", "ledger")}
    return Services(container, tmp_path, urls, {"server": free_port(), "worker": free_port()})


def test_a_run_of_the_composed_services_completes(services: Services) -> None:
    queries, logs, data = texts(60), services.folder / ".prefect", services.folder / "data"
    write_jsonl(data / "queries.jsonl", [{"query": text} for text in queries])
    write_jsonl(data / "outcomes.jsonl", outcome_rows(queries, [POLICIES[i % 3].value for i in range(60)]))
    with running(services.command("server"), logs / "server.log") as server:
        services.wait_for("server", server)
        deployed = subprocess.run(services.command("deploy"), capture_output=True, text=True, check=False)
        assert deployed.returncode == 0, deployed.stderr
        with running(services.command("worker"), logs / "worker.log") as worker:
            services.wait_for("worker", worker)
            there = Served(worker, services.url, services.folder, {})
            assert "<html" in httpx.get(services.url, follow_redirects=True, timeout=60).text.lower()
            assert [one["status"] for one in there.ask("POST", "/work_pools/local/workers/filter")] == ["ONLINE"]
            # Relative paths are looked for in /data.
            run = there.start(there.offer("label", queries="queries.jsonl", outcomes="outcomes.jsonl"))
            state = there.until(run, "COMPLETED", "FAILED", "CRASHED")
            assert state["type"] == "COMPLETED", (state["message"], there.log("worker"))
    (labels,) = (data / "artifacts" / "labels").iterdir()
    assert labels.stat().st_uid == 1000
    assert PASSWORD not in "".join(file.read_text() for file in logs.iterdir())
