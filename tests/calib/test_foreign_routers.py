"""A head meets no router but its own, read as it was read; one of before is served or refused in a sentence."""

import shutil
from pathlib import Path

import pytest

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.checkpoint_errors import (
    FeatureMismatch,
)
from routecal.calib.packed_folder import Serving, pack
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.folder_digest import folder_digest
from tests.calib.packed import QUERIES, change, trained
from tests.calib.tiny_families import save


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
