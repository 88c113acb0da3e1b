import errno
import os
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest

from storage import artifact as module
from storage.artifact import Artifact, read_metadata, read_table, write_table
from storage.errors import ArtifactCorrupt, ArtifactMissing, DiskFull, HomeNotWritable, SchemaMismatch


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
    def write(table, where, **options):
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
    monkeypatch.setattr(module.pq, "write_table", failing(number))
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
