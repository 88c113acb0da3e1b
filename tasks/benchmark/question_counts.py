"""Resamples of the questions that a set tests on: one for all of its divisions, and alike in sets that share them."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from routecal.calib.comparison import paired_counts
from routecal.storage.artifact import Artifact, read_table

Counts = list[NDArray[np.float64]]


def counts_by_division(
    tested: Sequence[Sequence[str]], target: str, family: str, relatives: Sequence[Sequence[Artifact]]
) -> list[Counts]:
    """For each division, chunks (m, n) of how often each of its n test queries is drawn.

    A query that several divisions test on is drawn as often in each. Queries that the same divisions test on are one
    stratum, so that every division keeps its number of rows; queries that every set of the family tests on are strata
    of their own, drawn alike in all of them.

    Args:
        tested: ids by division, ascending.
        target: the set.
        family: of the set.
        relatives: rows of every set of the family, by division.
    """
    every = sorted(set().union(*tested))
    at = {query_id: i for i, query_id in enumerate(every)}
    places = [np.array([at[query_id] for query_id in ids], np.int64) for ids in tested]
    inside = np.zeros((len(tested), len(every)), bool)
    for division, own in enumerate(places):
        inside[division, own] = True
    pattern = (1 << np.arange(len(tested))) @ inside
    shared = set.intersection(*(_tested(rows[: len(tested)]) for rows in relatives))
    common = np.array([query_id in shared for query_id in every])
    strata = []
    for one in np.unique(pattern):
        # of one division there is one pattern, and its numbers are those of before there were divisions
        suffix = f" {one}" if len(tested) > 1 else ""
        for rows, name in ((common, family), (~common, target)):
            strata.append((np.flatnonzero(rows & (pattern == one)), seed_of(name + suffix)))
    chunks = list(paired_counts(strata))
    return [[chunk[:, own] for chunk in chunks] for own in places]


def seed_of(name: str) -> int:
    """A generator's seed that follows from a set's name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def _tested(divisions: Sequence[Artifact]) -> set[str]:
    """Ids of the queries that a set tests on in any of these divisions."""
    tables = (read_table(rows, columns=["query_id", "part"]) for rows in divisions)
    tests = (table.filter(pa.compute.field("part") == "test") for table in tables)
    return set().union(*(table["query_id"].to_pylist() for table in tests))
