"""Nights that are killed, as processes of their own, at every boundary they come to; and two nights at once."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from prefect.settings import PREFECT_API_URL

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.folder_digest import folder_digest
from routecal.storage.artifact import read_table
from routecal.storage.head_registry import champion, history
from routecal.storage.layout import Home
from routecal.storage.manifest import Manifest, manifests
from routecal.tasks.night.label_history import EXAMPLES, NIGHT
from routecal.tasks.night.night_result import FLOW, KEY
from tests.bench.workload import ROOT, environment
from tests.flows.killed_nights import Ended, Nights, nights
from tests.flows.lakes import lakes_file
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import GeminiServer, serving
from tests.patience import PATIENCE_S
from tests.tasks.made import outcome_rows, policies_for, texts, write_jsonl
from tests.tasks.oracle.labelling import JUDGE, LARGE, MEDIUM, by_number
from tests.tasks.oracle.labelling import KEY as KEY_OF_SERVER

pytestmark = pytest.mark.served
FIRST, SECOND = 400, 200


class World(NamedTuple):
    """A home after its first night, whose second night is killed in copies of it.

    Attributes:
        home: with one head in force, and 200 new queries in the inbox.
        params: of the second night.
        asked: all queries.
        undisturbed: how the second night goes when nobody kills it.
        nights: where they are run.
    """

    home: Path
    params: dict[str, Any]
    asked: list[str]
    undisturbed: Ended
    nights: Nights


@pytest.fixture(scope="module")
def world(prefect_server: None, router_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("nights")
    asked, order = texts(FIRST + SECOND), np.random.default_rng(0).permutation(FIRST + SECOND)
    asked, policies = [asked[i] for i in order], policies_for([asked[i] for i in order], router_checkpoint)
    (folder / "inbox").mkdir()
    params = {
        "inbox": str(folder / "inbox"),
        "outcomes": write_jsonl(folder / "outcomes.jsonl", outcome_rows(asked, policies)),
        "router_path": str(router_checkpoint),
        "recheck_nights": 1,
        "epochs": 2,
        "hidden_units": 8,
        "folds": 0,
        "target_ece": 0.5,
        "brier_margin": 0.25,
        "renew_nights": 1,
        "medium_price": 1,
        "large_price": 20,
    }
    with nights(folder, str(PREFECT_API_URL.value())) as parent:
        write_jsonl(folder / "inbox" / "monday.jsonl", [{"query": text} for text in asked[:FIRST]])
        assert parent.run(folder / "home", params).code == 0
        write_jsonl(folder / "inbox" / "tuesday.jsonl", [{"query": text} for text in asked[FIRST:]])
        shutil.copytree(folder / "home", folder / "undisturbed")
        undisturbed = parent.run(folder / "undisturbed", params)
        assert undisturbed.code == 0, undisturbed.error
        yield World(folder / "home", params, asked, undisturbed, parent)


def boundaries(night: Ended) -> list[int]:
    """Those at which the home is not as it was at the one before: a night killed at either would leave the same."""
    return [i for i in range(len(night.passed)) if not i or night.left[i] != night.left[i - 1]]


@pytest.mark.parametrize("parity", [0, 1])
def test_a_night_killed_at_every_single_boundary(world: World, tmp_path: Path, parity: int) -> None:
    """In two halves, one of them gone on with by Retry; behind the decision both ways at each."""
    decides, tried = world.undisturbed.passed.index("before decide"), boundaries(world.undisturbed)
    assert len([i for i in tried if i >= decides]) >= 8
    for turn, boundary in enumerate(tried):
        if boundary >= decides or turn % 2 == parity:
            survive(world, tmp_path / str(boundary), boundary, by_retry=parity == 0)


def survive(world: World, folder: Path, boundary: int, *, by_retry: bool) -> None:
    """Kill the night at a boundary, look, and let its Retry, or the same night begun anew, go on."""
    shutil.copytree(world.home, folder)
    home, place = Home(root=str(folder)), f"{boundary}: {world.undisturbed.passed[boundary]}"
    killed = world.nights.run(folder, world.params, die_at=boundary)
    assert (killed.code, killed.passed) == (-9, world.undisturbed.passed[: boundary + 1]), (place, killed.error)
    is_decided = "after a name in registry" in killed.passed
    assert len(history(home)) == 1 + is_decided, place
    check_whole(home, world)

    again = world.nights.run(folder, world.params, retry=killed.run if by_retry else None)
    assert again.code == 0, (place, again.error)
    assert again.told is not None
    expected = "quiet" if is_decided and not by_retry else "promoted"
    assert again.told["action"] == expected, place
    check_whole(home, world)
    first, second = history(home)
    assert (second.action, second.champion) == ("promoted", second.candidate), place
    assert second.champion != first.champion
    check_once(killed, again, world, place, is_decided=is_decided)
    recorded = [m for m in manifests(home, FLOW) if KEY in m.facts]
    assert [m.facts["action"] for m in recorded] == ["promoted", "promoted", "quiet"][: 2 + (expected == "quiet")]
    assert len(labelled(recorded)) == FIRST + SECOND, place
    assert sum(m.artifacts[EXAMPLES].rows for m in recorded if EXAMPLES in m.artifacts) == FIRST + SECOND, place
    (row,) = read_table(recorded[1].artifacts[NIGHT]).to_pylist()
    assert (row["run_id"], row["action"], row["n_labelled"]) == (second.run_id, "promoted", SECOND), place
    assert world.undisturbed.told is not None
    assert pages(second.lineage["report"]) == pages(world.undisturbed.told["report"]), place
    shutil.rmtree(folder)


def check_once(killed: Ended, again: Ended, world: World, place: str, *, is_decided: bool) -> None:
    """Nothing that was stored is made again, and after a decision there is no second one."""
    if is_decided:
        assert set(again.bodies) <= {"gather", "check champion", "tell"}, place
        return
    stored = [at.removeprefix("after ") for at in killed.passed if at.startswith("after ")]
    for task in set(world.undisturbed.bodies) - NOT_STORED:
        assert again.bodies.count(task) <= world.undisturbed.bodies.count(task) - stored.count(task), (place, task)


# Tasks that are done again whenever somebody asks.
NOT_STORED = {"gather", "report", "publish", "decide", "tell"}


def check_whole(home: Home, world: World) -> None:
    """The serving head opens and routes, and whatever has the name of an artifact is one."""
    serving = champion(home)
    assert serving is not None
    (decision,) = CalibratedRouter.from_pretrained(serving.uri).route(world.asked[:1])
    assert 0 <= decision.confidence <= 1
    for path in Path(home.root).glob("[!.]*/[!.]*"):
        if path.suffix == ".parquet":
            assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(path.stem), path
        elif path.is_dir() and path.parent.name in ("heads", "calibrated"):
            assert folder_digest(path).startswith(path.name), path


def pages(report: object) -> set[str]:
    """Names of the files of a report."""
    return {path.name for path in Path(str(report)).parent.iterdir()}


def labelled(recorded: list[Manifest]) -> set[str]:
    """Ids of the queries that these nights labelled."""
    found = [m.artifacts[EXAMPLES] for m in recorded if EXAMPLES in m.artifacts]
    return {i for examples in found for i in read_table(examples, columns=["query_id"])["query_id"].to_pylist()}


# ---- two at once, without Prefect's limit


def test_of_two_nights_from_two_terminals_one_decides_and_nothing_is_paid_twice(
    prefect_server: None, router_checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "inbox").mkdir()
    lakes_file(tmp_path / "inbox", FIRST)
    with serving(dict.fromkeys((MEDIUM, LARGE, JUDGE), Script(latency_s=0.05)), respond=by_number()) as server:
        both = [terminal(tmp_path, router_checkpoint, server) for _ in range(2)]
        ended = [(*process.communicate(timeout=PATIENCE_S), process.returncode) for process in both]
        (won,), (lost,) = ([e for e in ended if e[2] == code] for code in (0, 2))
        assert won[0].startswith("A new head was promoted: ")
        assert [line for line in lost[1].splitlines() if line.startswith("routecal: ")] == [
            "routecal: another decision about the champion was written at the same time "
            f"({tmp_path}/home/registry/000001.json), so nothing was changed; look at `routecal heads` and repeat"
        ]
        assert "Traceback" not in lost[1]
        paid = server.stats()
        assert (paid["billed_twice"], paid["billed"]) == (0, paid["billed_once"])

        repeated = terminal(tmp_path, router_checkpoint, server)
        out, err = repeated.communicate(timeout=PATIENCE_S)
        assert repeated.returncode == 0, err
        assert out.startswith("Nothing was labelled: the inbox holds no query without a label")
        assert server.stats()["billed"] == paid["billed"]
    home = Home(root=str(tmp_path / "home"))
    (entry,) = history(home)
    assert entry.action == "promoted"
    recorded = [m for m in manifests(home, FLOW) if KEY in m.facts]
    assert [m.facts["action"] for m in recorded] == ["promoted", "quiet"]
    assert len(labelled(recorded)) == recorded[0].artifacts[EXAMPLES].rows == FIRST


def terminal(folder: Path, router: Path, server: GeminiServer) -> subprocess.Popen[str]:
    """`routecal recalibrate` on an inbox of questions about lakes."""
    options = {
        "inbox": folder / "inbox",
        "router-path": router,
        "oracle": "gemini",
        "base-url": server.url,
        "medium-model": MEDIUM,
        "large-model": LARGE,
        "judge-model": JUDGE,
        "epochs": 2,
        "hidden-units": 8,
        "folds": 0,
        "target-ece": 1,
        "brier-margin": 0.25,
        "medium-price": 1,
        "large-price": 20,
        "quota": "terminals",
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    return subprocess.Popen(
        [sys.executable, "-m", "routecal", "recalibrate", *arguments],
        cwd=ROOT,
        env=environment(folder) | {"GEMINI_API_KEY": KEY_OF_SERVER, "PREFECT_API_URL": str(PREFECT_API_URL.value())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
