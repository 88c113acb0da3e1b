"""Counts, times and costs of a log in many files are those of all its rows, whatever was read before."""

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from routecal.storage.served.file_parts import FileParts
from routecal.storage.served.journal import Journal
from routecal.storage.served.tables import ANSWERS, DECISIONS
from routecal.storage.served.traffic import Traffic

NOW = datetime(2026, 11, 30, 12, 0, 30, tzinfo=UTC)
STATUSES = ("ok", "fallback", "unlike", "shadow", "asked")


def decisions(n: int, ages_s: np.ndarray, rng: np.random.Generator) -> list[dict[str, Any]]:
    """As the log has them, so many seconds before NOW; whole minutes are neither in nor out by a hair."""
    return [
        {
            "decision_id": f"{i:032x}",
            "at": NOW - timedelta(seconds=float(ages_s[i])),
            "served": "medium" if rng.random() < 0.7 else "large",
            "status": str(rng.choice(STATUSES, p=[0.6, 0.1, 0.1, 0.1, 0.1])),
            "decided_s": float(rng.lognormal(-4, 1)),
            "query": "a long query " * 20,
        }
        for i in range(n)
    ]


def written(folder: Path, schema: pa.Schema, rows: Sequence[Mapping[str, Any]], name: str) -> None:
    """One finished file."""
    folder.mkdir(parents=True, exist_ok=True)
    full = [dict.fromkeys(schema.names) | dict(row) for row in rows]
    pq.write_table(pa.Table.from_pylist(full, schema), folder / f"{name}.parquet")


def compare(found: Any, rows: list[dict[str, Any]]) -> None:
    """A window with the rows that are in it."""
    assert found.n == len(rows)
    assert {name: getattr(found, name) for name in STATUSES} == {
        name: Counter(row["status"] for row in rows)[name] for name in STATUSES
    }
    assert found.medium == sum(row["served"] == "medium" for row in rows)
    assert found.large == len(rows) - found.medium
    seconds = [row["decided_s"] for row in rows]
    for told, share in ((found.p50_s, 0.5), (found.p95_s, 0.95)):
        assert told == pytest.approx(np.quantile(seconds, share, method="inverted_cdf"), rel=0.011)


def test_windows_are_those_of_the_rows_now_and_when_time_has_passed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ages = np.sort(
        np.concatenate([rng.uniform(0, 3500, 300), rng.uniform(4000, 86_000, 300), rng.uniform(9e4, 3e6, 400)])
    )
    rows = decisions(1000, ages[::-1], rng)
    for start in range(0, 900, 100):
        written(tmp_path / "decisions", DECISIONS, rows[start : start + 100], f"{start:04d}")
    journal = Journal(tmp_path / "decisions", DECISIONS)
    journal.append(rows[900:])
    traffic = Traffic(tmp_path)
    hour, day, everything = traffic.windows(NOW)
    assert [hour.name, day.name, everything.name] == ["last hour", "last day", "all"]
    assert (hour.since, day.since) == (datetime(2026, 11, 30, 11, tzinfo=UTC), datetime(2026, 11, 29, 12, tzinfo=UTC))
    assert everything.since == rows[0]["at"].replace(second=0, microsecond=0)
    for found, age in ((hour, 3630), (day, 86_430), (everything, 1e9)):
        compare(found, [row for row in rows if (NOW - row["at"]).total_seconds() <= age])
    # Three hours later, by the same reader: what was within the hour is within the day.
    later = NOW + timedelta(hours=3)
    hour, day, everything = traffic.windows(later)
    assert (hour.n, hour.p50_s, hour.p95_s) == (0, None, None)
    compare(day, [row for row in rows if row["at"] >= day.since])
    compare(everything, rows)
    journal.close()
    compare(traffic.windows(later)[2], rows)
    # Files that are removed are forgotten.
    (tmp_path / "decisions" / "0000.parquet").unlink()
    assert traffic.windows(later)[2].n == 900
    assert traffic.windows(later)[2].since == rows[100]["at"].replace(second=0, microsecond=0)


def test_a_finished_file_is_read_once_and_what_is_kept_of_it_is_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[str, Any]] = []
    read_table = pq.read_table

    def counted(path: Path, **options: Any) -> Any:
        read.append((path.stem, options["columns"]))
        return read_table(path, **options)

    monkeypatch.setattr("routecal.storage.served.journal.pq.read_table", counted)
    rng = np.random.default_rng(1)
    rows = decisions(10_000, np.linspace(200_000, 100_000, 10_000), rng)
    written(tmp_path / "decisions", DECISIONS, rows, "0")
    traffic = Traffic(tmp_path)
    for _ in range(3):
        assert traffic.windows(NOW)[2].n == 10_000
    assert [stem for stem, _ in read] == ["0"]
    assert "query" not in read[0][1]
    (part,) = traffic._decisions.finished.values()
    assert part.num_rows < 3000
    assert pa.types.is_timestamp(part.schema.field("minute").type)


def test_costs_are_those_of_decided_queries_whose_price_is_known(tmp_path: Path) -> None:
    def answer(served: str, usd: float | None, **more: Any) -> dict[str, Any]:
        row = {"served": served, "cost_usd": usd, "decision_status": "ok", "outcome": "ok", "status": 200, "at": NOW}
        return row | more

    first = [answer("medium", usd) for usd in (1.0, 1.0, 4.0)]
    second = [
        answer("large", 9.0),
        answer("large", 100.0, decision_status="asked"),
        answer("medium", None),
        answer("medium", None, outcome="failed", status=502),
        answer("medium", None, status=429),
        answer("medium", 2.0, outcome="cancelled"),
        answer("large", 100.0, decision_status=None),
    ]
    written(tmp_path / "answers", ANSWERS, first, "0")
    written(tmp_path / "answers", ANSWERS, second, "1")
    found = [
        (one.served, one.n, one.n_unpriced, one.mean_usd, one.m2, one.m3) for one in Traffic(tmp_path).answer_costs()
    ]
    # Distances of 1, 1, 4 from 2: squares 1 + 1 + 4, cubes -1 - 1 + 8.
    assert found == [("medium", 3, 0, 2.0, 6.0, 6.0), ("large", 1, 0, 9.0, 0.0, 0.0), ("medium", 1, 1, 2.0, 0.0, 0.0)]


def test_an_empty_log_has_three_empty_windows_and_no_costs(tmp_path: Path) -> None:
    traffic = Traffic(tmp_path / "none")
    assert [(one.n, one.p50_s) for one in traffic.windows(NOW)] == [(0, None)] * 3
    assert traffic.windows(NOW)[2].since is None
    assert traffic.answer_costs() == []


def test_a_file_that_vanishes_or_becomes_parquet_while_it_is_read_is_counted_once(tmp_path: Path) -> None:
    """Writers go on meanwhile: each reading has all rows that were there before it, and none twice."""
    folder = tmp_path / "decisions"
    journal = Journal(folder, DECISIONS, rows=7)
    row = {**dict.fromkeys(DECISIONS.names), "at": NOW, "served": "medium", "status": "ok", "decided_s": 0.01}
    traffic = Traffic(tmp_path)
    for i in range(1, 120):
        journal.append([{**row, "decision_id": f"{i:032x}"}])
        assert traffic.windows(NOW)[2].n == i
    journal.close()
    assert traffic.windows(NOW)[2].n == 119
    assert (
        FileParts(folder, DECISIONS, "decision_counts", ("at", "served", "status", "decided_s")).read().num_rows >= 17
    )


def test_a_log_of_a_million_decisions_is_read_in_seconds_and_then_at_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    n = 10_000
    columns: dict[str, Any] = {
        "at": pa.array(
            np.full(n, NOW.timestamp() * 1e6).astype("int64") - np.arange(n)[::-1] * 10_000, pa.int64()
        ).cast(DECISIONS.field("at").type),
        "served": np.where(rng.random(n) < 0.7, "medium", "large"),
        "status": ["ok"] * n,
        "decided_s": rng.lognormal(-4, 1, n),
    }
    table = pa.table({name: columns.get(name, pa.nulls(n)) for name in DECISIONS.names}).cast(DECISIONS)
    folder = tmp_path / "decisions"
    folder.mkdir()
    pq.write_table(table, folder / "000.parquet")
    for i in range(1, 100):
        os.link(folder / "000.parquet", folder / f"{i:03d}.parquet")
    traffic, began = Traffic(tmp_path), time.perf_counter()
    assert traffic.windows(NOW)[0].n == 1_000_000
    first = time.perf_counter() - began
    again = time.perf_counter()
    assert traffic.windows(NOW)[0].n == 1_000_000
    again = time.perf_counter() - again
    assert again < first < 60
    assert sum(part.nbytes for part in traffic._decisions.finished.values()) < 20e6
