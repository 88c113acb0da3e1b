import os
import time

import pytest

from routecal.storage import atomic
from routecal.storage.errors import DiskFull, HomeNotWritable
from routecal.storage.layout import Home
from routecal.storage.remote import resolve


def test_default_is_absolute_and_below_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ROUTECAL_HOME", raising=False)
    assert Home.from_env().root == str(tmp_path / "artifacts")
    monkeypatch.setenv("ROUTECAL_HOME", "")
    assert Home.from_env().root == str(tmp_path / "artifacts")


@pytest.mark.parametrize("url", ["s3://bucket/a/", "gs://bucket/a", "memory://x/a"])
def test_urls_stay_as_they_are(monkeypatch, url):
    monkeypatch.setenv("ROUTECAL_HOME", url)
    assert Home.from_env().folder("labels") == url.rstrip("/") + "/labels"


def test_local_forms(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Home(root="~/x/").root == str(tmp_path / "x")
    assert Home(root=f"file://{tmp_path}/x").root == str(tmp_path / "x")


def test_check_leaves_nothing_behind(home):
    home.check_writable()
    fs, root = resolve(home.root)
    assert fs.find(root) == []


def test_a_file_in_the_way_is_not_writable(tmp_path):
    (tmp_path / "file").write_text("x")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(HomeNotWritable, match="set ROUTECAL_HOME"):
            Home(root=str(root)).check_writable()


@pytest.mark.parametrize(("number", "expected"), [(13, HomeNotWritable), (30, HomeNotWritable), (28, DiskFull)])
def test_a_closed_or_full_disk(local_home, monkeypatch, number, expected):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic.os, "replace", refuse)
    with pytest.raises(expected) as caught:
        local_home.check_writable()
    assert caught.value.path == local_home.root
    assert os.listdir(local_home.root) == []


def test_an_unknown_protocol_is_not_writable():
    with pytest.raises(HomeNotWritable, match="nosuch"):
        Home(root="nosuch://bucket/x").check_writable()


def test_an_error_of_a_remote_plugin_becomes_ours(monkeypatch):
    def refuse(*_):
        raise RuntimeError("no credentials")

    fs, _ = resolve("memory://x")
    monkeypatch.setattr(type(fs), "put_file", refuse)
    with pytest.raises(HomeNotWritable, match="RuntimeError: no credentials"):
        Home(root="memory://x").check_writable()


def test_what_killed_processes_left_is_removed_a_day_later(tmp_path):
    old, new, mine = (tmp_path / "heads" / name for name in (".tmp-old", ".tmp-new", "head"))
    for folder in (old, new, mine):
        folder.mkdir(parents=True)
        (folder / "weights").write_text("half")
    (tmp_path / ".tmp-file").write_text("half")
    long_ago = time.time() - atomic.STALE_S - 60
    for path in (old, mine, tmp_path / ".tmp-file"):
        os.utime(path, (long_ago, long_ago))
    atomic.sweep(str(tmp_path))
    assert sorted(path.name for path in (tmp_path / "heads").iterdir()) == [".tmp-new", "head"]
    assert [path.name for path in tmp_path.iterdir()] == ["heads"]
    atomic.sweep(str(tmp_path / "nowhere"))
    atomic.sweep("memory://somewhere")
