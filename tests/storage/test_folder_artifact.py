import errno
import os
from concurrent.futures import ThreadPoolExecutor

import fsspec
import pytest

from routecal.folder_digest import folder_digest
from routecal.storage.artifact import write_table
from routecal.storage.errors import ArtifactCorrupt, ArtifactMissing, DiskFull
from routecal.storage.folder_artifact import local_folder, write_folder


def build(path):
    (path / "deep" / "er").mkdir(parents=True)
    (path / "config.json").write_text("{}")
    (path / "deep" / "er" / "x.bin").write_bytes(bytes(range(256)))


def test_round_trip(home, tmp_path):
    artifact = write_folder("heads", build, home=home)
    assert artifact.uri == f"{home.root}/heads/{artifact.sha256[:16]}"
    assert artifact.rows == 2
    path = local_folder(artifact, cache=tmp_path / "cache")
    assert (path / "deep" / "er" / "x.bin").read_bytes() == bytes(range(256))
    assert folder_digest(path) == artifact.sha256
    assert local_folder(artifact, cache=tmp_path / "cache") == path
    assert write_folder("heads", build, home=home) == artifact


def test_digest_sees_names_and_contents_not_times(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        build(tmp_path / name)
    os.utime(tmp_path / "b" / "config.json", (0, 0))
    same = folder_digest(tmp_path / "a")
    assert folder_digest(tmp_path / "b") == same
    (tmp_path / "b" / "config.json").write_text("[]")
    changed = folder_digest(tmp_path / "b")
    (tmp_path / "a" / "config.json").rename(tmp_path / "a" / "other.json")
    assert len({same, changed, folder_digest(tmp_path / "a")}) == 3


def test_a_failing_build_leaves_nothing(local_home):
    def fails(path):
        build(path)
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(DiskFull):
        write_folder("heads", fails, home=local_home)
    assert os.listdir(local_home.folder("heads")) == []


def test_a_full_disk_is_known_by_the_words_of_rust_too(local_home):
    def fails(path):
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")

    with pytest.raises(DiskFull):
        write_folder("heads", fails, home=local_home)
    assert os.listdir(local_home.folder("heads")) == []


def test_an_error_of_the_builder_stays_its_own(local_home):
    def fails(path):
        raise PermissionError(errno.EACCES, "the source is closed")

    with pytest.raises(PermissionError, match="the source is closed"):
        write_folder("heads", fails, home=local_home)


def test_damage_is_found_and_writing_again_repairs_it(home, tmp_path):
    artifact = write_folder("heads", build, home=home)
    fs, root = fsspec.core.url_to_fs(artifact.uri)
    fs.pipe_file(f"{root}/config.json", b"{,}")
    with pytest.raises(ArtifactCorrupt):
        local_folder(artifact, cache=tmp_path / "cache")
    write_folder("heads", build, home=home)
    assert folder_digest(local_folder(artifact, cache=tmp_path / "cache")) == artifact.sha256
    assert [n for n in fs.ls(f"{home.folder('heads')}", detail=False) if ".tmp-" in n] == []


def test_gone(home, tmp_path):
    artifact = write_folder("heads", build, home=home)
    fs, root = fsspec.core.url_to_fs(artifact.uri)
    fs.rm(root, recursive=True)
    with pytest.raises(ArtifactMissing):
        local_folder(artifact, cache=tmp_path / "cache")


def test_many_writers_of_the_same_content_agree(local_home, queries):
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: write_folder("heads", build, home=local_home), range(16)))
        tables = list(pool.map(lambda _: write_table(queries, "queries", home=local_home), range(16)))
    assert len(set(folders)) == len(set(tables)) == 1
    assert len(os.listdir(local_home.folder("heads"))) == len(os.listdir(local_home.folder("queries"))) == 1
    assert folder_digest(local_folder(folders[0])) == folders[0].sha256
