"""Small outcomes files and what the tiny model makes of them, for the tests of the benchmark."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from routecal.calib.policy import POLICIES
from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.layout import Home
from routecal.storage.schemas import SCHEMAS
from tests.tasks.made import GRADES, PLACES, SUBJECTS, write_jsonl


def questions(n: int, *, about: str) -> list[str]:
    """n different questions; those "near" and those "far" tend to have different true policies."""
    return [
        f"How {'near' if i % 2 else 'far'} are the {SUBJECTS[i % 10]} of {PLACES[i // 10 % 10]} to {about} number {i}?"
        for i in range(n)
    ]


def policies(asked: Sequence[str], *, seed: int) -> list[str]:
    """True policies that depend on the text, noisily."""
    rng = np.random.default_rng(seed)
    likely = {True: (0.7, 0.2, 0.1), False: (0.3, 0.5, 0.2)}
    return [POLICIES[rng.choice(3, p=likely["near" in text])].value for text in asked]


def write_outcomes(path: Path, asked: Sequence[str], *, seed: int = 0) -> str:
    """An outcomes file of these questions."""
    names = [policy.value for policy in POLICIES]
    grades = [GRADES[names.index(policy)] for policy in policies(asked, seed=seed)]
    rows = [
        {"query": text, "medium_label": medium, "large_label": large}
        for text, (medium, large) in zip(asked, grades, strict=True)
    ]
    return write_jsonl(path, rows)


def permuted(rows: Artifact, part: str) -> Artifact:
    """The rows of a set with the grades and true policies of one part dealt anew."""
    table = read_table(rows)
    inside = np.flatnonzero(np.array(table["part"].to_pylist()) == part)
    order = np.arange(table.num_rows)
    order[inside] = np.random.default_rng(5).permutation(inside)
    for name in ("true_policy", "medium_grade", "large_grade"):
        at = table.column_names.index(name)
        table = table.set_column(at, SCHEMAS["benchmark_rows"].field(at), table[name].take(pa.array(order)))
    return write_table(table, "benchmark_rows", home=Home.from_env())
