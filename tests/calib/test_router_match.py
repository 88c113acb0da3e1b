"""A router is refused as soon as it is not the one, or does not read as it did, and the sentence names both sides."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from routecal.calib.checkpoint_errors import FeatureMismatch
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.calib.router_match import check_router
from routecal.folder_digest import folder_digest

SCHEMA = {"width": "8", "layer": "-1"}


def router(folder: Path, **schema: str) -> FrozenRouter:
    """What is asked of a router: how it reads, its blocks and its folder."""
    (folder / "config.json").write_text("{}")
    return cast("FrozenRouter", SimpleNamespace(schema=SCHEMA | schema, blocks=("hidden",), path=folder))


def test_a_router_that_reads_alike_matches(tmp_path: Path) -> None:
    for trained_on in ({}, {"width": "8"}, SCHEMA):
        assert check_router(trained_on, router(tmp_path), ["hidden"]) is None
    assert check_router(SCHEMA | {"special_tokens": "twice"}, router(tmp_path, special_tokens="twice"), []) is None
    assert check_router({}, router(tmp_path, special_tokens="twice"), []) is None


def test_a_router_that_reads_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeatureMismatch, match="width"):
        check_router({"width": "9"}, router(tmp_path), [])
    for trained_on, schema in ((SCHEMA, {"special_tokens": "twice"}), (SCHEMA | {"special_tokens": "twice"}, {})):
        with pytest.raises(FeatureMismatch, match="special_tokens"):
            check_router(trained_on, router(tmp_path, **schema), [])
    with pytest.raises(FeatureMismatch, match=r"hidden \(no hidden_L1_mean\)"):
        check_router({}, router(tmp_path), ["hidden", "hidden_L1_mean"])


def test_a_router_is_known_by_its_folder_whatever_the_hub_adds(tmp_path: Path) -> None:
    found = router(tmp_path)
    sha256 = folder_digest(tmp_path)
    named = SCHEMA | {"router_sha256": sha256}
    assert check_router(named, found, []) == sha256
    (tmp_path / ".gitattributes").write_text("* text")
    assert check_router(named, found, []) == sha256
    with_it = SCHEMA | {"router_sha256": folder_digest(tmp_path)}
    assert check_router(with_it, found, []) == with_it["router_sha256"]
    (tmp_path / "another").write_text("")
    for trained_on in (named, with_it):
        with pytest.raises(FeatureMismatch, match="router_sha256"):
            check_router(trained_on, found, [])
