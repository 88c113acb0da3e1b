"""A folder in, decisions out; a head meets no router but its own."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.checkpoint_errors import (
    CheckpointMissing,
    FeatureMismatch,
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
from routecal.folder_digest import folder_digest
from tests.calib.head.hub_server import serving
from tests.calib.tiny_families import save

QUERIES = [f"What is known about {thing}?" for thing in ("tides", "bridges", "owls", "glaciers", "clocks", "bees")]


def trained(router: FrozenRouter, **schema: str) -> LoadedHead:
    """A head with inputs of this router and weights that are not zero, recalibrated by Platt scaling."""
    output = router.read(QUERIES)
    head = ConfidenceHead(HeadConfig(width=router.width, hidden_units=4, residual=False), seed=1)
    head.fit_inputs(output.hidden, output.logits, np.array([0, 1, 0, 1, 1, 0]))
    recalibrator = RECALIBRATORS["platt"](np.linspace(0.1, 0.9, 50), np.arange(50) % 3 > 0)
    lineage = {"feature_schema": {**router.schema, "router_sha256": folder_digest(router.path), **schema}, "kept": 1}
    return LoadedHead(head, recalibrator, {"lineage": lineage, "metrics": {"brier": 0.2}})


@pytest.fixture(scope="module")
def router(router_checkpoint: Path) -> FrozenRouter:
    return FrozenRouter(router_checkpoint)


@pytest.fixture
def folder(router: FrozenRouter, tmp_path: Path) -> Path:
    pack(trained(router), Serving(router=str(router.path), threshold=0.6, head_version="abc"), tmp_path / "packed")
    return tmp_path / "packed"


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


@pytest.mark.parametrize(
    ("field", "other"),
    [("width", "999"), ("dtype", "float16"), ("template_sha256", "0" * 16), ("router_kind", "causal")],
)
def test_another_kind_of_features_is_refused(router: FrozenRouter, tmp_path: Path, field: str, other: str) -> None:
    pack(trained(router, **{field: other}), Serving(router=str(router.path), threshold=0.6), tmp_path)
    with pytest.raises(FeatureMismatch) as raised:
        CalibratedRouter.from_pretrained(tmp_path)
    assert (raised.value.field, raised.value.head, raised.value.features) == (field, other, router.schema[field])


def test_another_router_of_the_same_shape_is_refused(router: FrozenRouter, folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(router.path, tmp_path / "other")
    weights = next(other.glob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(FeatureMismatch) as raised:
        CalibratedRouter.from_pretrained(folder, router=other)
    assert raised.value.field == "router_sha256"
    assert {raised.value.head, raised.value.features} == {folder_digest(router.path), folder_digest(other)}


def test_another_prompt_is_refused(folder: Path) -> None:
    change(folder, template="Route this: {query}")
    with pytest.raises(FeatureMismatch, match="template_sha256"):
        CalibratedRouter.from_pretrained(folder)


def test_blocks_that_the_router_does_not_read_are_refused(folder: Path) -> None:
    change(folder, blocks=["hidden_L1_mean"])
    with pytest.raises(FeatureMismatch, match="hidden_L1_mean"):
        CalibratedRouter.from_pretrained(folder)


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


def change(folder: Path, **serving: Any) -> None:
    """Rewrite what a packed folder says of its serving."""
    file = folder / "config.json"
    config = json.loads(file.read_text())
    config["lineage"]["serving"] |= serving
    file.write_text(json.dumps(config))


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


def test_a_head_that_read_special_tokens_twice_is_refused(router: FrozenRouter, tmp_path: Path) -> None:
    template = "<bos>{query}"
    doubled = FrozenRouter(router.path, template=template)
    schema = {k: v for k, v in doubled.schema.items() if k != "special_tokens"}  # as version 0.1 wrote it
    loaded = trained(doubled)
    loaded.config["lineage"]["feature_schema"] = schema
    pack(loaded, Serving(router=str(router.path), template=template, threshold=0.6), tmp_path)
    with pytest.raises(FeatureMismatch) as raised:
        CalibratedRouter.from_pretrained(tmp_path)
    assert (raised.value.field, raised.value.head, raised.value.features) == ("special_tokens", None, "template")


def test_an_encoder_s_head_of_before_is_refused(tmp_path: Path) -> None:
    # version 0.1 kept the state at the last token, which no encoder's head reads
    read = FrozenRouter(save("bert", tmp_path / "router"))
    pack(trained(read, pooling="last_token"), Serving(router=str(read.path), threshold=0.6), tmp_path / "packed")
    with pytest.raises(FeatureMismatch) as raised:
        CalibratedRouter.from_pretrained(tmp_path / "packed")
    assert (raised.value.field, raised.value.head, raised.value.features) == ("pooling", "last_token", "first_token")
    assert "'last_token', these have 'first_token'" in str(raised.value)


def test_a_head_from_before_queries_were_capped_is_served(
    router: FrozenRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = trained(router)
    monkeypatch.setattr("routecal.calib.router.prompt_tokens.QUERY_TOKENS", 40)
    monkeypatch.setattr("routecal.calib.router.frozen_router.QUERY_TOKENS", 40)
    capped, serving_it = FrozenRouter(router.path), Serving(router=str(router.path), threshold=0.5)
    assert len(CalibratedRouter(capped, before, serving_it).route(QUERIES)) == len(QUERIES)
    with pytest.raises(FeatureMismatch, match="query_tokens = '40', these have None"):
        CalibratedRouter(router, trained(capped), serving_it)
