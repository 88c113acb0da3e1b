"""Rows that were said to be there are there after a kill, no line is half there, and journals become Parquet."""

import errno
import os
import random
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from routecal.storage.errors import DiskFull
from routecal.storage.served.journal import Journal, read_served, remove_older

SCHEMA = pa.schema({"id": pa.int64(), "text": pa.string(), "at": pa.timestamp("us", tz="UTC")})
NOW = datetime(2026, 11, 30, 12, 0, 0, 123456, tzinfo=UTC)


def row(i: int) -> dict[str, Any]:
    return {"id": i, "text": f"line\n«{i}»\u2028", "at": NOW}


def ids(folder: Path) -> list[int]:
    return read_served(folder, SCHEMA)["id"].to_pylist()


def test_rows_can_be_read_at_once_and_when_they_are_parquet(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SCHEMA)
    journal.append([row(0), row(1)])
    journal.append([row(2)])
    assert read_served(tmp_path, SCHEMA).to_pylist() == [row(i) for i in range(3)]
    journal.close()
    assert [path.suffix for path in tmp_path.iterdir()] == [".parquet"]
    assert read_served(tmp_path, SCHEMA).to_pylist() == [row(i) for i in range(3)]


def test_an_empty_journal_leaves_nothing(tmp_path: Path) -> None:
    Journal(tmp_path, SCHEMA).close()
    assert list(tmp_path.iterdir()) == []
    assert read_served(tmp_path, SCHEMA).schema == SCHEMA


@pytest.mark.parametrize("limit", [{"rows": 10}, {"seconds": 0.0}])
def test_a_full_journal_is_followed_by_another_and_no_row_is_lost_or_doubled(
    limit: dict[str, Any], tmp_path: Path
) -> None:
    journal = Journal(tmp_path, SCHEMA, **limit)
    for i in range(0, 60, 3):
        journal.append([row(i), row(i + 1), row(i + 2)])
        assert ids(tmp_path) == list(range(i + 3))
    journal.close()
    deadline = time.monotonic() + 20
    while list(tmp_path.glob("*.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert ids(tmp_path) == list(range(60))
    assert len(list(tmp_path.glob("*.parquet"))) >= 5


def test_after_a_kill_all_that_was_told_is_there_and_no_half_line(tmp_path: Path) -> None:
    program = """
        import sys
        from tests.storage.served.test_journal import SCHEMA, Journal, Path, row
        journal = Journal(Path(sys.argv[1]), SCHEMA, rows=40)
        for i in range(10**6):
            journal.append([row(i)])
            print(i, flush=True)
    """
    command, rng = [sys.executable, "-c", textwrap.dedent(program)], random.Random(0)
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        with subprocess.Popen(
            [*command, str(folder)], cwd=Path(__file__).parents[3], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(rng.randrange(30, 400))]
            process.kill()
            lines += process.stdout.read().split(b"\n")
        told = max(int(line) for line in lines if line.strip())
        found = ids(folder)
        # One more may have been written than was told.
        assert found in (list(range(told + 1)), list(range(told + 2)))
        Journal(folder, SCHEMA).close()
        assert ids(folder) == found
        assert not list(folder.glob("*.jsonl"))


def test_a_torn_line_is_dropped(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SCHEMA)
    journal.append([row(0), row(1)])
    [path] = tmp_path.glob("*.jsonl")
    with open(path, "ab") as file:
        file.write(b'{"id": 2, "te')
    assert ids(tmp_path) == [0, 1]


def test_a_full_disk_leaves_no_half_line_and_what_comes_later_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, write = Journal(tmp_path, SCHEMA), os.write
    journal.append([row(0)])
    left = [20]

    def until_full(handle: int, data: memoryview) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken, left[0] = write(handle, data[: left[0]]), 0
        return taken

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", until_full)
        with pytest.raises(DiskFull):
            journal.append([row(1), row(2)])
    assert ids(tmp_path) == [0]
    journal.append([row(3)])
    assert ids(tmp_path) == [0, 3]
    journal.close()


def test_where_no_other_file_can_be_made_a_full_journal_is_filled_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, opened = Journal(tmp_path, SCHEMA, rows=2), os.open

    def refused(path: Path, flags: int, *more: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(path, flags, *more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refused)
        for i in range(4):
            journal.append([row(i)])
    assert ids(tmp_path) == list(range(4))
    # And its rows become Parquet once it ends.
    journal.close()
    assert ids(tmp_path) == list(range(4))
    assert [path.suffix for path in tmp_path.iterdir()] == [".parquet"]


def test_two_processes_share_a_folder_and_leave_each_other_s_journals(tmp_path: Path) -> None:
    one = Journal(tmp_path, SCHEMA)
    one.append([row(0)])
    other = Journal(tmp_path, SCHEMA)
    other.append([row(1)])
    one.append([row(2)])
    assert sorted(ids(tmp_path)) == [0, 1, 2]
    assert len(list(tmp_path.glob("*.jsonl"))) == 2
    one.close()
    other.close()
    assert sorted(ids(tmp_path)) == [0, 1, 2]


def test_old_files_go_and_new_ones_stay(tmp_path: Path) -> None:
    for i in range(2):
        journal = Journal(tmp_path, SCHEMA)
        journal.append([row(i)])
        journal.close()
    old = min(tmp_path.glob("*.parquet"))
    before = (datetime.now(UTC) - timedelta(days=31)).timestamp()
    os.utime(old, (before, before))
    assert remove_older(tmp_path, days=30) == [old]
    assert ids(tmp_path) == [1]
