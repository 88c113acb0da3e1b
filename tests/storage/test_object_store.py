"""Artifacts on a server that speaks S3: whole or not there, whoever is killed; and each way in which it fails."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from routecal.storage.artifact import Artifact, read_metadata, read_table, write_table
from routecal.storage.atomic import write_chunks
from routecal.storage.create_once import check_exclusive
from routecal.storage.errors import ArtifactCorrupt, RegistryChanged
from routecal.storage.folder_artifact import local_folder, write_folder
from routecal.storage.head_registry import append_entry, champion, history
from routecal.storage.layout import Home
from routecal.storage.query import connect
from routecal.storage.remote import is_file, is_there, resolve
from routecal.storage.store_errors import NoConditionalWrites, StoreRefuses
from tests.object_store.s3_server import Answer, Asked, S3Server

HOME = Home(root="s3://bucket/home")
# 12 MB in parts of 5, which s3fs makes of 100 MB.
N_BYTES, PART = 12_000_000, 5 * 2**20
UPLOAD = f"""
import s3fs.core
from routecal.storage.atomic import write_chunks
s3fs.core.calculate_chunksize = lambda *_, **__: {PART}
write_chunks("s3://bucket/home/labels/x", [bytes({N_BYTES})])
"""


@pytest.fixture(autouse=True)
def _fresh(s3: S3Server) -> None:
    """The check of a store's conditions is made once a process; here stores change."""
    check_exclusive.cache_clear()


def uploads() -> list[str]:
    """Keys of uploads that have begun and not ended."""
    fs = resolve("s3://bucket")[0]
    return [one["Key"] for one in fs.call_s3("list_multipart_uploads", Bucket="bucket").get("Uploads", [])]


def test_a_writer_killed_in_the_middle_of_an_upload_leaves_nothing_under_the_name(s3: S3Server) -> None:
    met, killed = threading.Event(), threading.Event()

    def hold(asked: Asked) -> None:
        if asked.method == "PUT" and "partNumber=2" in asked.query:
            met.set()
            killed.wait()

    s3.meets = hold
    with subprocess.Popen([sys.executable, "-c", UPLOAD], env=dict(os.environ)) as writer:
        assert met.wait(60)
        writer.kill()
        writer.wait()
    s3.meets = lambda asked: None
    killed.set()
    url = "s3://bucket/home/labels/x"
    assert uploads() == ["home/labels/x"]
    assert not is_there(url)
    assert not is_there("s3://bucket/home/labels")
    write_chunks(url, [b"whole"])
    assert resolve("s3://bucket")[0].cat_file(url) == b"whole"


def test_half_a_folder_is_not_taken_for_whole_and_completed_by_the_next_run(s3: S3Server, tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        for name in ("a", "b", "c"):
            (folder / name).write_text(name)

    whole = write_folder("heads", build, home=Home(root=str(tmp_path)))
    half = whole.model_copy(update={"uri": f"{HOME.root}/heads/{whole.sha256[:16]}"})
    refused = Answer("403 Forbidden", "AccessDenied")
    s3.meets = lambda asked: refused if (asked.method, asked.path[-2:]) == ("PUT", "/b") else None
    with pytest.raises(StoreRefuses):
        write_folder("heads", build, home=HOME)
    s3.meets = lambda asked: None
    assert is_file(f"{half.uri}/a")
    with pytest.raises(ArtifactCorrupt):
        local_folder(half, cache=tmp_path / "cache")
    s3.asked.clear()
    assert write_folder("heads", build, home=HOME) == whole
    assert [asked.path[-1] for asked in s3.asked if asked.method == "PUT"] == ["b", "c"]
    assert sorted(file.name for file in local_folder(half, cache=tmp_path / "cache").iterdir()) == ["a", "b", "c"]


def test_many_writers_of_the_same_content_agree(s3: S3Server, queries: pa.Table) -> None:
    with ThreadPoolExecutor(4) as pool:
        stored = set(pool.map(lambda _: write_table(queries, "queries", home=HOME), range(4)))
    (one,) = stored
    assert read_table(one).equals(queries.replace_schema_metadata(read_table(one).schema.metadata))


def head(text: str = "1") -> Artifact:
    def build(folder: Path) -> None:
        (folder / "head").write_text(text)

    return write_folder("calibrated", build, home=HOME)


def test_of_two_decisions_at_once_one_is_kept_and_the_other_hears_of_it(s3: S3Server) -> None:
    heads = [head(str(i)) for i in range(4)]

    def decide(one: Artifact) -> bool:
        try:
            append_entry(HOME, "promoted", champion=one, after=0)
        except RegistryChanged:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(decide, heads))
    assert sum(won) == 1
    assert champion(HOME) == heads[won.index(True)]
    assert len(history(HOME)) == 1
    assert not [name for name in resolve("s3://bucket")[0].find("bucket/home/registry") if "probe" in name]


def test_the_slower_of_two_at_the_same_moment_is_told_the_same(s3: S3Server) -> None:
    conflict = Answer("409 Conflict", "ConditionalRequestConflict")
    s3.meets = lambda asked: conflict if asked.path.endswith("000001.json") else None
    with pytest.raises(RegistryChanged):
        append_entry(HOME, "promoted", champion=head(), after=0)


def test_a_store_that_overwrites_all_the_same_holds_no_registry(s3: S3Server) -> None:
    s3.heeds_conditions = False
    with pytest.raises(NoConditionalWrites, match="ignores If-None-Match"):
        append_entry(HOME, "promoted", champion=head(), after=0)
    assert history(HOME) == []
    assert not resolve("s3://bucket")[0].find("bucket/home/registry")


@pytest.fixture
def vectors(s3: S3Server, features: pa.Table) -> tuple[Artifact, int]:
    """Features of 2,000 rows of 640 numbers that do not compress, and how many bytes they take."""
    n = 2000
    halves = pa.array(np.random.default_rng(0).normal(size=n * 640).astype(np.float16))
    hidden = pa.FixedSizeListArray.from_arrays(halves, 640)
    rows = features.take([i % features.num_rows for i in range(n)])
    place = rows.column_names.index("hidden")
    artifact = write_table(rows.set_column(place, "hidden", hidden), "features", home=HOME)
    s3.asked.clear()
    return artifact, int(resolve("s3://bucket")[0].size(artifact.uri))


def fetched(s3: S3Server) -> int:
    """Bytes of the ranges that were asked for."""
    return sum(asked.n_bytes for asked in s3.asked if asked.method == "GET" and not asked.query)


def test_columns_are_fetched_without_the_vectors_beside_them(s3: S3Server, vectors: tuple[Artifact, int]) -> None:
    artifact, size = vectors
    assert read_table(artifact, columns=["n_tokens"], verify=False).num_rows == 2000
    assert fetched(s3) < size / 10


def test_a_query_fetches_the_columns_that_it_reads(s3: S3Server, vectors: tuple[Artifact, int]) -> None:
    artifact, size = vectors
    with connect(features=artifact) as con:
        assert con.sql("SELECT sum(n_tokens) FROM features").fetchall() == [(9000,)]
    assert fetched(s3) < size / 10


def test_verified_it_is_fetched_once(s3: S3Server, vectors: tuple[Artifact, int]) -> None:
    artifact, _ = vectors
    assert read_table(artifact).num_rows == 2000
    (got,) = [asked for asked in s3.asked if asked.method == "GET"]
    assert got.span is None


def test_a_file_cut_short_is_named(s3: S3Server, vectors: tuple[Artifact, int]) -> None:
    artifact, size = vectors
    fs = resolve("s3://bucket")[0]
    fs.pipe_file(artifact.uri, fs.cat_file(artifact.uri)[: size // 2])
    for read in (
        lambda: read_table(artifact),
        lambda: read_table(artifact, columns=["n_tokens"], verify=False),
        lambda: read_metadata(artifact),
        lambda: connect(features=artifact),
    ):
        with pytest.raises(ArtifactCorrupt, match=artifact.uri):
            read()
