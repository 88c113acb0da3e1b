"""A folder in, decisions out: from a disk, from the Hub, with its router or without."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.checkpoint_errors import (
    CheckpointMissing,
    NotQueries,
    NotServable,
    QueryUnreadable,
)
from routecal.calib.decision import Decision
from routecal.calib.head import ConfidenceHead, HeadConfig, LoadedHead
from routecal.calib.packed_folder import Serving, pack
from routecal.calib.policy import POLICIES, Policy
from routecal.calib.recalibrate import RECALIBRATORS
from routecal.calib.router.frozen_router import FrozenRouter
from tests.calib.head.hub_server import serving
from tests.calib.packed import QUERIES, change, trained


def test_decisions_are_those_of_router_head_and_threshold(router: FrozenRouter, folder: Path) -> None:
    output = router.read(QUERIES)
    hidden = output.hidden.astype(np.float16).astype(np.float32)  # as features are stored
    p = trained(router).confidence(hidden, output.logits)
    threshold = float(np.sort(p)[2:4].mean())
    decisions = CalibratedRouter.from_pretrained(folder, threshold=threshold).route(QUERIES)
    assert [d.policy for d in decisions] == [POLICIES[i] for i in output.policy]
    assert [d.confidence for d in decisions] == pytest.approx(p.tolist(), abs=1e-12)
    assert [d.escalate for d in decisions] == (p < threshold).tolist()
    assert {d.escalate for d in decisions} == {True, False}
    assert {(d.head_version, d.threshold) for d in decisions} == {("abc", threshold)}
    assert CalibratedRouter.from_pretrained(str(folder)).serving.threshold == 0.6
    assert CalibratedRouter.from_pretrained(folder).route([]) == []


@pytest.mark.parametrize(
    ("policy", "escalate", "served_by"),
    [
        (Policy.STANDARD, False, "medium"),
        (Policy.AMBIGUOUS, False, "medium"),
        (Policy.COMPLEX, False, "large"),
        (Policy.STANDARD, True, "large"),
        (Policy.AMBIGUOUS, True, "large"),
        (Policy.COMPLEX, True, "large"),
    ],
)
def test_who_serves(policy: Policy, escalate: bool, served_by: str) -> None:
    assert Decision(policy, 0.5, escalate, "v", 0.4).served_by == served_by
    mapped = Decision(policy, 0.5, escalate, "v", 0.4, models=("medium", "pro", "pro"))
    assert mapped.served_by == ("large" if policy is Policy.AMBIGUOUS else served_by)
    assert mapped.model == {"medium": "medium", "large": "pro"}[mapped.served_by]
    assert json.loads(json.dumps(asdict(mapped)))["models"] == ["medium", "pro", "pro"]  # plain, as logs want it
    by_gain = replace(mapped, decides_by="gain")
    assert by_gain.model == ("pro" if escalate else "medium")  # whatever the policy


def test_packing_keeps_what_the_head_knew(router: FrozenRouter, folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    assert config["lineage"]["kept"] == 1
    assert config["metrics"] == {"brier": 0.2}
    assert Serving.model_validate(config["lineage"]["serving"]).router == str(router.path)


def test_a_head_of_several_blocks_reads_them_in_order(router: FrozenRouter, tmp_path: Path) -> None:
    wide = FrozenRouter(router.path, layers=(1, -1), poolings=("mean", "last"))
    names = ["hidden_L1_mean", "hidden"]
    output = wide.read(QUERIES)
    hidden = np.concatenate([output.blocks[n] for n in names], axis=1).astype(np.float16).astype(np.float32)
    head = ConfidenceHead(HeadConfig(width=hidden.shape[1], hidden_units=4, residual=False), seed=2)
    head.fit_inputs(hidden, output.logits, np.array([0, 1, 0, 1, 1, 0]))
    loaded = LoadedHead(head, RECALIBRATORS["identity"]([0.0, 1.0], [0, 1]), {"lineage": {}})
    serving = Serving(
        router=str(router.path), layers=(1, -1), poolings=("mean", "last"), blocks=tuple(names), threshold=0.5
    )
    pack(loaded, serving, tmp_path)
    decisions = CalibratedRouter.from_pretrained(tmp_path).route(QUERIES)
    want = head.confidence(hidden, output.logits)
    assert [d.confidence for d in decisions] == pytest.approx(want.tolist(), abs=1e-6)


def test_a_router_that_travels_with_its_head(router: FrozenRouter, folder: Path, tmp_path: Path) -> None:
    change(folder, router="router")
    shutil.copytree(router.path, folder / "router")
    (folder / "router" / ".gitattributes").write_text("*.safetensors filter=lfs\n")  # as the Hub adds
    moved = folder.rename(tmp_path / "moved")
    assert len(CalibratedRouter.from_pretrained(moved).route(QUERIES)) == len(QUERIES)


@pytest.mark.parametrize("together", [True, False])
def test_from_the_hub_with_its_router_in_one_repository_or_two(
    router: FrozenRouter, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    change(folder, router="router" if together else "someone/router")
    local = CalibratedRouter.from_pretrained(folder, router=router.path).route(QUERIES)
    files = {f.name: f.read_bytes() for f in router.path.iterdir()} | {".gitattributes": b"* text\n"}
    ours = {f.name: f.read_bytes() for f in folder.iterdir()} | {".gitattributes": b"* text\n"}
    with serving() as hub:
        hub.repositories["someone/calibrated"] = ours
        if together:
            ours |= {f"router/{name}": content for name, content in files.items()}
        else:
            hub.repositories["someone/router"] = files
        found = CalibratedRouter.from_pretrained("someone/calibrated", cache_dir=tmp_path / "hub", endpoint=hub.url)
    assert found.route(QUERIES) == local


def test_a_router_that_is_gone(folder: Path) -> None:
    change(folder, router="/nowhere/at/all")
    with pytest.raises(CheckpointMissing, match=r"/nowhere/at/all.*router="):
        CalibratedRouter.from_pretrained(folder)
    with pytest.raises(CheckpointMissing):
        CalibratedRouter.from_pretrained(folder / "none")


def test_a_head_without_router_or_threshold_says_what_to_give(router: FrozenRouter, tmp_path: Path) -> None:
    loaded = trained(router)
    loaded.head.save_pretrained(tmp_path, recalibrator=loaded.recalibrator, lineage=loaded.config["lineage"])
    with pytest.raises(NotServable, match=r"its router and threshold; give router=…, threshold=…"):
        CalibratedRouter.from_pretrained(tmp_path)
    found = CalibratedRouter.from_pretrained(tmp_path, router=router.path, threshold=0.3)
    version = found.route(QUERIES[:1])[0].head_version
    assert len(version) == 16
    assert version == CalibratedRouter.from_pretrained(tmp_path, router=router.path, threshold=0.4).serving.head_version


def test_one_text_is_one_query(folder: Path) -> None:
    routed = CalibratedRouter.from_pretrained(folder)
    assert routed.route(QUERIES[0]) == routed.route([QUERIES[0]])
    assert routed.route(np.array(QUERIES)) == routed.route(iter(QUERIES)) == routed.route(QUERIES)
    assert routed.route(iter([])) == []
    with pytest.raises(NotQueries, match="query 1 is of type NoneType"):
        routed.route(["a?", None])  # type: ignore[list-item]
    with pytest.raises(QueryUnreadable, match=r"\(rows 1, from 0\): they are blank"):
        routed.route(["a?", " "])


def test_a_decision_says_when_a_query_was_cut(folder: Path) -> None:
    decisions = CalibratedRouter.from_pretrained(folder).route(["short?", "word " * 500])
    assert [d.truncated for d in decisions] == [False, True]
