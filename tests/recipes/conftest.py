"""routecal as people start it, what asks it in an environment of its own, and the two models' servers."""

import hashlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.decision import Decision
from routecal.storage.served.journal import read_served
from routecal.storage.served.tables import DECISIONS
from tests.calib.packed import QUERIES
from tests.deployments.router_service.command import forking, serve_router
from tests.deployments.router_service.conftest import outcome_head, packed, wide_router
from tests.deployments.router_service.raw_upstream import Asked, Line, RawUpstream, raw_upstream
from tests.patience import PATIENCE_S
from tests.test_layering import ROOT
from tests.wheel.conftest import outside

__all__ = ["outcome_head", "packed", "wide_router"]

RECIPES = ROOT / "docs" / "recipes"
KEY = "key-of-routecal"
# Between the probabilities of QUERIES that the medium model is enough: two of them lie above it.
THRESHOLD = 0.336


@pytest.fixture(scope="session")
def zygote() -> Iterator["subprocess.Popen[str]"]:
    """What forks services."""
    with forking() as process:
        yield process


@pytest.fixture(scope="session")
def decisions(packed: Path) -> dict[str, Decision]:
    """What the head says of QUERIES: three go to either model."""
    return dict(zip(QUERIES, CalibratedRouter.from_pretrained(packed).route(QUERIES), strict=True))


@pytest.fixture(scope="session")
def by_rule(decisions: dict[str, Decision]) -> dict[str, list[str]]:
    """Which model each query goes to by the head's own rule."""
    served = {query: [decision.served_by] for query, decision in decisions.items()}
    assert sorted(served.values()) == [["large"]] * 3 + [["medium"]] * 3
    return served


@pytest.fixture(scope="session")
def by_probability(decisions: dict[str, Decision], by_rule: dict[str, list[str]]) -> dict[str, list[str]]:
    """The same by THRESHOLD, as gateways compare it: not what the head's own rule says."""
    enough = {query: decision.medium_enough for query, decision in decisions.items()}
    assert min(abs(p - THRESHOLD) for p in enough.values()) > 1e-3
    served = {query: ["medium" if p >= THRESHOLD else "large"] for query, p in enough.items()}
    assert sorted(served.values()) == [["large"]] * 4 + [["medium"]] * 2
    assert served != by_rule
    return served


ALL_LARGE = {query: ["large"] for query in QUERIES}
# What the service asks upstream for.
MODELS = {"medium": "flash", "large": "pro"}


@dataclass
class RunningService:
    """A service that wants a key, two models, and a recipe between them."""

    url: str
    pid: int
    log: Path
    medium: RawUpstream
    large: RawUpstream

    def kill(self) -> None:
        """End routecal as the kernel would."""
        os.kill(self.pid, signal.SIGKILL)

    def run(self, name: str, script: str, *words: object, **variables: str) -> list[list[str]]:
        """Run a recipe's script in its environment; the lines that it prints, split at tabs."""
        done = self.ran(name, script, *words, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def ran(self, name: str, script: str, *words: object, **variables: str) -> "subprocess.CompletedProcess[str]":
        """What became of it."""
        env = outside() | {
            "ROUTECAL_URL": self.url,
            "ROUTECAL_V1": f"{self.url}/v1",
            "ROUTECAL_KEY": KEY,
            "MEDIUM_URL": self.medium.url,
            "MEDIUM_KEY": "key-of-medium",
            "LARGE_URL": self.large.url,
            "LARGE_KEY": "key-of-large",
            # On a busy machine a decision takes longer than people would wait; tests of hangs say otherwise.
            "ROUTECAL_TIMEOUT_S": "120",
            # Out of docs/, and compiled once: LiteLLM alone takes 15 s.
            "PYTHONPYCACHEPREFIX": str(ROOT / "build" / "recipes" / "pycache"),
        }
        return subprocess.run(
            [str(python(name)), str(RECIPES / name / script), *map(str, words)],
            cwd=RECIPES / name,
            env=env | variables,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def answered(self) -> dict[str, list[str]]:
        """Which models were asked each query, in the order of QUERIES."""
        models = {"medium": self.medium, "large": self.large}
        return {
            query: [name for name, model in models.items() for asked in model.asked if query.encode() in asked.body]
            for query in QUERIES
        }

    def asked(self) -> list[Asked]:
        """What the models were asked, the medium one first."""
        return [*self.medium.asked, *self.large.asked]

    def decisions(self) -> list[dict[str, Any]]:
        """What routecal wrote down."""
        return list(read_served(self.log / "decisions", DECISIONS).to_pylist())

    def assert_logged(self, surface: str) -> None:
        """Each query was decided once, in order, on this surface and for whoever has the key."""
        rows = [(row["query"], row["surface"], row["client"]) for row in self.decisions()]
        assert rows == [(query, surface, "gateway") for query in QUERIES]


def python(name: str) -> Path:
    """The interpreter of a recipe's environment."""
    found = ROOT / "build" / "recipes" / name / "bin" / "python"
    if not (found.parents[1] / ".installed").exists():
        pytest.skip(f"build/recipes/{name} is not there: `make recipes` installs it")
    return found


@pytest.fixture
def service(zygote: "subprocess.Popen[str]", packed: Path, tmp_path: Path) -> Iterator[RunningService]:
    """One that answers."""
    config, log = tmp_path / "service.yaml", tmp_path / "served"
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    config.write_text(f"keys: [{{name: gateway, sha256: {digest}}}]")
    with (
        raw_upstream() as medium,
        raw_upstream() as large,
        serve_router(zygote, packed, log, medium, large, ["--config", str(config)]) as (url, pid),
    ):
        yield RunningService(url, pid, log, medium, large)


@pytest.fixture
def hung() -> Iterator[RawUpstream]:
    """What takes the place of a routecal that accepts and never answers."""

    async def silent(_: Asked, line: Line) -> None:
        await line.gone()

    with raw_upstream(silent) as one:
        yield one


def changed(name: str, file: str, folder: Path, changes: Mapping[str, str]) -> Path:
    """A copy of a recipe's file with other texts in place of some; each must stand there once."""
    text = (RECIPES / name / file).read_text()
    for before, after in changes.items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    target = folder / file
    target.write_text(text)
    return target
