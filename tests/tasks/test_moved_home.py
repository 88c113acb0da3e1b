"""A home that was moved, copied, mounted read-only, or that version 0.1 wrote, serves where it is now."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.checkpoint_errors import CheckpointMissing
from routecal.calib.head import load
from routecal.calib.learn.cross_fit import CrossFitPlan
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.packed_folder import Serving, pack
from routecal.calib.serving_rule import ServingRule
from routecal.calib.settings import Reading
from routecal.storage.artifact import Artifact
from routecal.storage.folder_artifact import local_folder, write_folder
from routecal.storage.head_registry import append_entry, history
from routecal.storage.layout import Home
from routecal.tasks.night import manual_decisions
from routecal.tasks.pack import pack_router
from routecal.tasks.runs import copy_to
from routecal.tasks.serving import Champion
from routecal.tasks.train import train_sft
from tests.bench.workload import ROOT
from tests.tasks.made import Made

ASKED = ["Who wrote Buddenbrooks?"]
OLD, NEW = 0.25, 0.75


@pytest.fixture
def home() -> Path:
    return Path(Home.from_env().root)


@pytest.fixture
def head(made: Made) -> Artifact:
    return train_sft.fn(made.examples, made.features, CrossFitPlan(hidden_units=8), SFTConfig(epochs=2))


@pytest.fixture
def router(router_checkpoint: Path) -> Artifact:
    """A router that lives among the artifacts, as `train-router` and the demo leave theirs."""

    def build(folder: Path) -> None:
        shutil.copytree(router_checkpoint, folder, dirs_exist_ok=True)

    return write_folder("routers", build, home=Home.from_env())


def promoted(heads: list[Artifact]) -> None:
    for number, head in enumerate(heads):
        append_entry(Home.from_env(), "promoted", champion=head, candidate=head, after=number)


@pytest.fixture
def _serving(head: Artifact, router: Artifact) -> None:
    """Two heads, of which the second serves; told apart by their thresholds."""
    promoted([pack_router.fn(head, router, Reading(), ServingRule(threshold=threshold)) for threshold in (OLD, NEW)])


@pytest.fixture
def _serving_since_0_1(head: Artifact, router: Artifact, home: Path) -> None:
    """The same as 0.1 left it: with whole paths in heads and registry."""
    packed = []
    for threshold in (OLD, NEW):
        serving = Serving(router=router.uri, threshold=threshold)

        def build(folder: Path, serving: Serving = serving) -> None:
            pack(load(local_folder(head)), serving, folder)

        packed.append(write_folder("calibrated", build, home=Home.from_env()))
    promoted(packed)
    for file in (home / "registry").iterdir():
        entry = json.loads(file.read_text())
        del entry["format"]
        for role in ("champion", "candidate"):
            entry[role]["uri"] = f"{home}/{entry[role]['uri']}"
        file.write_text(json.dumps(entry))


def moved(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = home.parent / "mounted" / "else where"
    place.parent.mkdir()
    home.rename(place)
    monkeypatch.setenv("ROUTECAL_HOME", str(place))
    return place


def threshold(serving: Champion) -> float:
    (decided,) = serving.route(ASKED)
    return decided.threshold


@pytest.mark.parametrize("left", ["_serving", "_serving_since_0_1"])
def test_a_moved_home_serves_and_its_history_goes_on(
    left: str, request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request.getfixturevalue(left)
    place = moved(home, monkeypatch)
    assert threshold(Champion()) == NEW
    assert [row["decision"] for row in manual_decisions.heads().rows] == ["promoted", "promoted"]
    manual_decisions.roll_back()
    assert threshold(Champion()) == OLD
    # its own address, whatever the environment says
    monkeypatch.setenv("ROUTECAL_HOME", str(home))
    assert threshold(Champion(Home(root=str(place)))) == OLD


@pytest.mark.usefixtures("_serving")
def test_nothing_in_a_home_says_where_it_is(home: Path) -> None:
    said = [file for file in home.rglob("*.json") if str(home) in file.read_text()]
    assert (home / "registry" / "000002.json").is_file()
    assert not said


@pytest.mark.usefixtures("_serving")
def test_serving_writes_nothing_into_its_home(home: Path) -> None:
    # A file that is made and removed again leaves its folder younger. As root, permissions alone would stop nothing.
    paths = [home, *home.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.stat().st_mtime_ns for path in paths}
    try:
        assert threshold(Champion()) == NEW
        manual_decisions.heads()
    finally:
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert {path: path.stat().st_mtime_ns for path in [home, *home.rglob("*")]} == before


@pytest.mark.usefixtures("_serving")
def test_a_running_process_serves_on_while_its_home_is_moved(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serving = Champion(look_every_s=0)
    moved(home, monkeypatch)
    before = serving.router
    assert threshold(serving) == NEW
    # and at the new place the same head is not loaded again
    serving._home = Home.from_env()
    assert threshold(serving) == NEW
    assert serving.router is before


@pytest.mark.usefixtures("_serving")
def test_a_head_without_its_router_says_how_to_name_one(home: Path, router_checkpoint: Path, tmp_path: Path) -> None:
    champion = history(Home.from_env())[-1].champion
    assert champion is not None
    alone = shutil.copytree(champion.uri, tmp_path / "alone")
    with pytest.raises(CheckpointMissing, match=r"say where the head's router is with router=…"):
        CalibratedRouter.from_pretrained(alone)
    assert CalibratedRouter.from_pretrained(alone, router=router_checkpoint).route(ASKED)[0].threshold == NEW


_AS_ANOTHER_USER = """
import os
from flows import cli
from routecal.tasks.serving import Champion
try:
    open(os.environ["ROUTECAL_HOME"] + "/mine", "w")
except PermissionError:
    print(Champion().route(["Who wrote Buddenbrooks?"])[0].threshold)
    print(cli.main(["heads"]))
"""


@pytest.mark.served
@pytest.mark.skipif(os.getuid() != 0 or shutil.which("setpriv") is None, reason="takes root, to become another user")
def test_another_user_serves_from_a_home_that_he_may_only_read(
    head: Artifact, router: Artifact, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted([pack_router.fn(head, router, Reading(), ServingRule(threshold=threshold)) for threshold in (OLD, NEW)])
    with TemporaryDirectory() as shared:
        os.chmod(shared, 0o755)
        place = shutil.copytree(home, Path(shared) / "artifacts")
        (own := Path(shared) / "own").mkdir()
        os.chmod(own, 0o777)
        env = os.environ | {"ROUTECAL_HOME": str(place), "HOME": str(own), "PREFECT_HOME": str(own / "prefect")}
        user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        run = subprocess.run(
            [*user, sys.executable, "-B", "-c", _AS_ANOTHER_USER],
            cwd=ROOT,
            env=env | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 0, run.stderr[-3000:]
    lines = run.stdout.splitlines()
    assert (lines[0], lines[-1]) == (str(NEW), "0")
    assert "promoted" in run.stdout


def test_a_copy_of_a_router_is_readable_as_the_umask_says(router: Artifact, head: Artifact, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        for artifact in (router, head):
            copy_to(artifact, str(tmp_path / "copy" / artifact.kind))
    finally:
        os.umask(before)
    copies = list((tmp_path / "copy").rglob("*.safetensors"))
    assert len(copies) == 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in copies} == {0o644}
    stored = [file for artifact in (router, head) for file in Path(artifact.uri).rglob("*.safetensors")]
    assert {stat.S_IMODE(file.stat().st_mode) for file in stored} == {0o666 & ~_umask()}


def _umask() -> int:
    os.umask(now := os.umask(0))
    return now
