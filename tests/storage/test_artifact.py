import errno
import json
import os
import stat
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest

from routecal.storage import artifact as module
from routecal.storage import row_groups
from routecal.storage.artifact import Artifact, read_metadata, read_table, within, write_table
from routecal.storage.errors import ArtifactCorrupt, ArtifactMissing, DiskFull, HomeNotWritable, SchemaMismatch
from routecal.storage.folder_artifact import write_folder
from routecal.storage.layout import Home
from routecal.storage.manifest import write_manifest


def stored(home):
    fs, root = fsspec.core.url_to_fs(home.root)
    return sorted(fs.find(root)) if fs.exists(root) else []


def test_round_trip(home, features):
    artifact = write_table(features, "features", home=home, metadata={"router": "ab", "dtype": "float32"})
    assert artifact.rows == 10
    assert artifact.kind == "features"
    assert artifact.uri == f"{home.root}/features/{artifact.sha256[:16]}.parquet"
    assert read_table(artifact).equals(features)
    assert read_table(artifact).schema.field("hidden").type == features.schema.field("hidden").type
    assert read_metadata(artifact) == {"router": "ab", "dtype": "float32"}
    assert Artifact.model_validate_json(artifact.model_dump_json()) == artifact


@pytest.mark.parametrize("verify", [True, False])
def test_some_columns_in_the_order_asked(home, features, verify):
    artifact = write_table(features, "features", home=home)
    table = read_table(artifact, columns=["n_tokens", "query_id"], verify=verify)
    assert table.column_names == ["n_tokens", "query_id"]
    with pytest.raises(SchemaMismatch, match="no column nope"):
        read_table(artifact, columns=["nope"])


def test_same_content_same_name_however_it_is_chunked(home, features):
    first = write_table(features, "features", home=home, metadata={"a": "1", "b": "2"})
    pieces = pa.concat_tables([features.slice(0, 3), features.slice(3)]).replace_schema_metadata({"noise": "x"})
    assert write_table(pieces, "features", home=home, metadata={"b": "2", "a": "1"}) == first
    assert len(stored(home)) == 1
    other = write_table(features, "features", home=home, metadata={"a": "1", "b": "3"})
    assert other.uri != first.uri


def test_one_that_is_there_is_kept(local_home, queries):
    first = write_table(queries, "queries", home=local_home)
    before = os.stat(first.uri).st_mtime_ns, os.stat(first.uri).st_ino
    write_table(queries, "queries", home=local_home)
    assert (os.stat(first.uri).st_mtime_ns, os.stat(first.uri).st_ino) == before


def test_damage_is_found_and_writing_again_repairs_it(local_home, queries):
    artifact = write_table(queries, "queries", home=local_home)
    content = bytearray(Path(artifact.uri).read_bytes())
    content[100] ^= 1
    Path(artifact.uri).write_bytes(content)
    with pytest.raises(ArtifactCorrupt, match=artifact.sha256):
        read_table(artifact)
    write_table(queries, "queries", home=local_home)
    assert read_table(artifact).equals(queries)


def test_not_parquet_any_more(local_home, queries):
    artifact = write_table(queries, "queries", home=local_home)
    Path(artifact.uri).write_bytes(b"half")
    with pytest.raises(ArtifactCorrupt):
        read_metadata(artifact)


def test_gone(home, queries):
    artifact = write_table(queries, "queries", home=home)
    fs, path = fsspec.core.url_to_fs(artifact.uri)
    fs.rm(path)
    for read in (read_table, read_metadata):
        with pytest.raises(ArtifactMissing, match="repeat the command that made it"):
            read(artifact)


def failing(number, *, after=b"PAR1 half a file"):
    def write(where, schema, **options):
        Path(where).write_bytes(after)
        raise OSError(number, os.strerror(number))

    return write


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EACCES, HomeNotWritable),
        (errno.EROFS, HomeNotWritable),
    ],
)
def test_a_failed_write_leaves_nothing(home, queries, monkeypatch, number, expected):
    monkeypatch.setattr(row_groups.pq, "ParquetWriter", failing(number))
    with pytest.raises(expected):
        write_table(queries, "queries", home=home)
    assert stored(home) == []


def test_a_write_killed_before_the_rename_leaves_no_file_under_the_final_name(local_home, queries, monkeypatch):
    def killed(staged, url):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "publish", killed)
    with pytest.raises(KeyboardInterrupt):
        write_table(queries, "queries", home=local_home)
    assert stored(local_home) == []


def test_a_reference_is_looked_for_in_the_home_of_its_reader(home, queries, monkeypatch):
    artifact = write_table(queries, "queries", home=home)
    stored = artifact.model_dump_json(context=within(home))
    assert json.loads(stored)["uri"] == f"queries/{artifact.sha256[:16]}.parquet"
    assert Artifact.model_validate_json(stored, context=within(home)).uri == artifact.uri

    # without a context it is the environment's, as where Prefect stores results
    monkeypatch.setenv("ROUTECAL_HOME", home.root)
    assert artifact.model_dump()["uri"] == json.loads(stored)["uri"]
    assert Artifact(**json.loads(stored)).uri == artifact.uri


def test_a_reference_to_elsewhere_stays_as_it_is(home):
    for uri in ("/srv/routers/ab", "s3://bucket/labels/ab.parquet", f"{home.root}-other/labels/ab.parquet"):
        artifact = Artifact(uri=uri, sha256="cd", rows=1, kind="labels")
        assert artifact.model_dump(context=within(home))["uri"] == uri
        assert Artifact.model_validate(artifact.model_dump(), context=within(home)).uri == uri


def test_absolute_references_of_0_1_are_found_where_the_home_is_now(home, queries, tmp_path):
    artifact = write_table(queries, "queries", home=home)
    name = f"queries/{artifact.sha256[:16]}.parquet"
    for gone in (f"{tmp_path}/gone/{name}", f"s3://gone/{name}"):
        old = {"uri": gone, "sha256": artifact.sha256, "rows": 10, "kind": "queries"}
        found = Artifact.model_validate(old, context=within(home))
        assert found.uri == artifact.uri
        assert read_table(found).equals(read_table(artifact))
        # not by the name alone, and not where the home lacks it
        for other in (old | {"sha256": "0" * 64}, old | {"uri": gone.replace("queries", "labels")}):
            assert Artifact.model_validate(other, context=within(home)).uri == other["uri"]

    # what is there is taken from where it is said to be
    copy = tmp_path / name
    copy.parent.mkdir()
    copy.write_bytes(b"")
    there = {"uri": str(copy), "sha256": artifact.sha256, "rows": 10, "kind": "queries"}
    assert Artifact.model_validate(there, context=within(home)).uri == str(copy)


def test_artifacts_are_equal_exactly_when_their_content_is():
    one = Artifact(uri="/a/labels/ab", sha256="ab", rows=1, kind="labels")
    moved = one.model_copy(update={"uri": "/b/labels/ab"})
    others = [one.model_copy(update=change) for change in ({"sha256": "cd"}, {"kind": "heads"})]
    assert one == moved
    assert {one, moved, *others} == {one, *others}
    assert len({one, moved, *others}) == 3
    assert one != "ab"


def test_a_home_behind_a_link_refers_to_what_was_resolved(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    home = Home(root=str(tmp_path / "link"))
    assert home.relative(f"{tmp_path}/real/heads/ab") == home.relative(f"{tmp_path}/link/heads/ab") == "heads/ab"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_decides_who_may_read(local_home, queries, umask, mode):
    def build(folder):
        (folder / "inner").mkdir()
        for name in ("a", "inner/b"):
            (folder / name).write_text(name)
            (folder / name).chmod(0o600)
        folder.chmod(0o700)

    before = os.umask(umask)
    try:
        write_table(queries, "queries", home=local_home)
        write_folder("heads", build, home=local_home)
        write_manifest(local_home, "a", {})
    finally:
        os.umask(before)
    files = [path for path in Path(local_home.root).rglob("*") if path.is_file()]
    assert len(files) == 4
    folders = [path for path in Path(local_home.root).rglob("*") if path.is_dir()]
    assert {stat.S_IMODE(path.stat().st_mode) & 0o444 for path in folders} == {mode & 0o444}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {mode}
