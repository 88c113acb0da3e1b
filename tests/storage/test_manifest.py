from datetime import UTC, datetime

import pytest

from storage import manifest as module
from storage.artifact import Artifact
from storage.atomic import write_chunks
from storage.manifest import latest_manifest, manifest_of, write_manifest


def reference(kind, digest="ab"):
    return Artifact(uri=f"x/{kind}/{digest}", sha256=digest, rows=1, kind=kind)


@pytest.fixture
def clock(monkeypatch):
    """Each manifest is a minute younger than the one before."""

    class Clock:
        minute = 0

        @classmethod
        def now(cls, zone):
            cls.minute += 1
            return datetime(2026, 11, 22, 3, cls.minute, tzinfo=UTC)

    monkeypatch.setattr(module, "datetime", Clock)


@pytest.mark.usefixtures("clock")
def test_newest_that_holds_the_kind(home):
    assert latest_manifest(home, "labels") is None
    write_manifest(home, "z", {"labels": reference("labels", "old"), "n": 3})
    write_manifest(home, "a", {"labels": reference("labels", "new"), "cost_usd": None, "by": {"judge": [1, 2.5]}})
    write_manifest(home, "b", {"features": reference("features")})
    found = latest_manifest(home, "labels")
    assert found.run_id == "a"
    assert found.facts == {"cost_usd": None, "by": {"judge": [1, 2.5]}}
    assert found.of_kind("labels") == (reference("labels", "new"),)
    assert found.of_kind("features") == ()
    assert latest_manifest(home, "heads") is None


@pytest.mark.usefixtures("clock")
def test_newest_that_holds_the_artifact(home):
    old, new = reference("labels", "old"), reference("labels", "new")
    for run_id, labels in (("a", old), ("b", old), ("c", new)):
        write_manifest(home, run_id, {"labels": labels})
    # found by content, whatever it is called and however long it is said to be
    assert manifest_of(home, old.model_copy(update={"uri": "elsewhere", "rows": 9})).run_id == "b"
    assert manifest_of(home, new).run_id == "c"
    assert manifest_of(home, reference("queries", "old")) is None


@pytest.mark.usefixtures("clock")
def test_the_same_run_replaces_its_manifest(home):
    uri = write_manifest(home, "a", {"x": reference("labels", "one")})
    assert write_manifest(home, "a", {"x": reference("labels", "two")}) == uri
    assert latest_manifest(home, "labels").artifacts["x"].sha256 == "two"


def test_a_stray_file_is_passed_over(home, caplog):
    write_manifest(home, "a", {"x": reference("labels")})
    write_chunks(f"{home.folder('runs')}/stray.json", [b"not JSON"])
    assert latest_manifest(home, "labels").run_id == "a"
    assert "stray.json is not a run manifest" in caplog.text


@pytest.mark.parametrize("run_id", ["../x", "", "a/b", ".hidden", "a b"])
def test_run_ids_are_plain_names(home, run_id):
    with pytest.raises(ValueError, match="run_id"):
        write_manifest(home, run_id, {})
