"""Queries, recorded outcomes and small artifacts for the tests of tasks and flows."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from routecal.calib.policy import POLICIES
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.storage.artifact import Artifact, write_table
from routecal.storage.layout import Home
from routecal.storage.query_identity import query_id
from routecal.storage.schemas import SCHEMAS

WHEN = datetime(2026, 11, 22, tzinfo=UTC)
SUBJECTS = ("tides", "bridges", "owls", "glaciers", "clocks", "violins", "comets", "bees", "harbours", "ferns")
PLACES = ("Ghent", "Lima", "Oslo", "Kyoto", "Accra", "Quito", "Perth", "Riga", "Cairo", "Turin")

# Grades that the default matrix turns into each policy, in the order of POLICIES.
GRADES = (("CORRECT", "INCORRECT"), ("INCORRECT", "CORRECT"), ("NOT_ATTEMPTED", "INCORRECT"))


class Made(NamedTuple):
    """One small set of every table that training reads."""

    router: Artifact
    queries: Artifact
    labels: Artifact
    features: Artifact
    examples: Artifact


def texts(n: int) -> list[str]:
    """n different short questions, half of them "odd"."""
    return [
        f"What {kind} about {SUBJECTS[i % 10]} no {i} in {PLACES[i // 10 % 10]}?"
        for i in range(n)
        for kind in ("is odd" if (i * 7) % 10 < 5 else "is known",)
    ]


def policies_for(queries: Sequence[str], router: Path) -> list[str]:
    """A true policy per query; this router finds it in most plain questions and misses it in most odd ones."""
    chosen = FrozenRouter(router).read(queries).policy.tolist()
    # one in five is the other way round, so that nothing is separable
    right = [("odd" in text) == (i % 5 == 0) for i, text in enumerate(queries)]
    return [
        POLICIES[p if ok else (p + 1 + i % 2) % 3].value for i, (p, ok) in enumerate(zip(chosen, right, strict=True))
    ]


def outcome_rows(queries: Sequence[str], policies: Sequence[str]) -> list[dict[str, Any]]:
    """Recorded outcomes whose grades stand for the given policies."""
    names = [p.value for p in POLICIES]
    rows = []
    for text, policy in zip(queries, policies, strict=True):
        medium, large = GRADES[names.index(policy)]
        rows.append(
            {
                "query": text,
                "medium_label": medium,
                "large_label": large,
                "medium_model": "mid-7b",
                "large_model": "big-70b",
                "topic": next((s for s in SUBJECTS if s in text), None),
            }
        )
    return rows


def write_jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    """Write the rows, one JSON object a line; return the path."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def store_queries(queries: Sequence[str], **columns: Sequence[Any]) -> Artifact:
    """A `queries` table in the home of the environment."""
    rows = [
        {"query": text, "source": "made", **{k: v[i] for k, v in columns.items()}} for i, text in enumerate(queries)
    ]
    for row in rows:
        row["query_id"] = query_id(row["query"], row.get("context"))
    return write_table(pa.Table.from_pylist(rows, schema=SCHEMAS["queries"]), "queries", home=Home.from_env())


def store_labels(queries: Sequence[str], policies: Sequence[str]) -> Artifact:
    """A `labels` table in the home of the environment."""
    rows = [
        {
            "query_id": query_id(row["query"]),
            "oracle": "made",
            "medium_model": "mid",
            "large_model": "big",
            "medium_grade": row["medium_label"],
            "large_grade": row["large_label"],
            "true_policy": policy,
            "judge": "made",
            "labelled_at": WHEN,
        }
        for row, policy in zip(outcome_rows(queries, policies), policies, strict=True)
    ]
    return write_table(pa.Table.from_pylist(rows, schema=SCHEMAS["labels"]), "labels", home=Home.from_env())
