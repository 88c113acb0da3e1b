from datetime import UTC, datetime

import pytest

from routecal.storage import manifest as module
from routecal.storage.artifact import Artifact
from routecal.storage.atomic import write_chunks
from routecal.storage.layout import Home
from routecal.storage.manifest import latest_manifest, manifest_of, write_manifest
from routecal.storage.remote import resolve


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
    uri = write_manifest(home, "a", {"labels": reference("labels", "one")})
    assert write_manifest(home, "a", {"labels": reference("labels", "two")}) == uri
    assert latest_manifest(home, "labels").artifacts["labels"].sha256 == "two"


def test_a_stray_file_is_passed_over(home, caplog):
    write_manifest(home, "a", {"labels": reference("labels")})
    write_chunks(f"{home.folder('runs')}/stray.json", [b"not JSON"])
    assert latest_manifest(home, "labels").run_id == "a"
    assert "stray.json is not a run manifest" in caplog.text


@pytest.mark.parametrize("run_id", ["../x", "", "a/b", ".hidden", "a b"])
def test_run_ids_are_plain_names(home, run_id):
    with pytest.raises(ValueError, match="run_id"):
        write_manifest(home, run_id, {})


@pytest.mark.usefixtures("clock")
def test_steps_go_by_what_has_the_name_of_its_kind(home):
    tonight, window = reference("examples", "tonight"), reference("examples", "window")
    write_manifest(home, "night", {"examples": tonight, "window": window, "head": reference("heads", "one")})
    write_manifest(home, "router", {"router_labels": reference("labels"), "window": window})
    found = latest_manifest(home, "examples", "heads")
    assert (found.run_id, found.main("examples"), found.main("heads").sha256) == ("night", tonight, "one")
    assert latest_manifest(home, "labels") is None
    assert latest_manifest(home, "examples", "features") is None


def test_a_home_that_is_copied_is_whole(home):
    artifact = Artifact(uri=f"{home.folder('labels')}/ab.parquet", sha256="ab", rows=1, kind="labels")
    outside = reference("routers", "cd").model_copy(update={"uri": "/srv/router"})
    report = f"{home.folder('reports')}/a/report.html"
    entries = {"labels": artifact, "router": outside, "report": report, "by": {"page": [report, 1]}}
    path = write_manifest(home, "a", entries).partition(home.root)[2]
    fs, source = resolve(home.root + path)
    assert home.root.encode() not in fs.cat_file(source)

    other = Home(root=f"{home.root}-copied")
    write_chunks(other.root + path, [fs.cat_file(source)])
    found = latest_manifest(other, "labels")
    assert found.artifacts["labels"].uri == f"{other.root}/labels/ab.parquet"
    assert found.artifacts["router"].uri == "/srv/router"
    assert found.facts == {"report": "reports/a/report.html", "by": {"page": ["reports/a/report.html", 1]}}
