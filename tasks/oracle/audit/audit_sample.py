"""A sample of graded answers for people to grade again, not knowing who wrote them or what the judge said."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from routecal.calib.policy import Grade
from routecal.tasks.oracle.audit.audit_errors import NothingToAudit, QueryUnknown, SampleTooSmall

ROLES = ("medium", "large")

# (role, the judge's grade): what the sample is stratified by
Stratum = tuple[str, Grade]


class Graded(NamedTuple):
    """One answer in the labels with the judge's grade."""

    audit_id: str
    stratum: Stratum
    query_id: str
    answer: str


class AuditRow(NamedTuple):
    """One line of the sheet that people fill in.

    Attributes:
        audit_id: names the answer without telling whose it is.
        query: the question.
        reference: the ground truth; aliases follow after ` | `.
        answer: to be graded.
        human_grade: blank until somebody fills it in.
    """

    audit_id: str
    query: str
    reference: str
    answer: str
    human_grade: str = ""


def graded_answers(labels: pa.Table) -> Iterator[Graded]:
    """Every answer with a grade, once; what was blocked or empty has no text that people could judge.

    Args:
        labels: schema `labels`.
    """
    seen: set[str] = set()
    for role in ROLES:
        columns = labels.select(["query_id", f"{role}_answer", f"{role}_grade"])
        for query_id, answer, grade in zip(*(column.to_pylist() for column in columns.columns), strict=True):
            if grade is None or answer is None or not answer.strip():
                continue
            audit_id = _audit_id(query_id, role, answer)
            if audit_id not in seen:
                seen.add(audit_id)
                yield Graded(audit_id, (role, Grade(grade)), query_id, answer)


def draw_sample(labels: pa.Table, queries: pa.Table, n: int, *, seed: int) -> list[AuditRow]:
    """A random sample of graded answers in random order, with some of each model and grade.

    Half of the sample is shared out evenly among the kinds of answers (model x grade), as rare grades are where judges
    err and would hardly turn up; the other half by how many there are of each kind. `audit_score.score` weights the
    kinds back. The same tables, n and seed give the same sample, in whatever order their rows come.

    Args:
        labels: schema `labels`.
        queries: schema `queries`; holds every query of `labels`.
        n: answers to draw; all there are, if fewer.
        seed: of the draw.

    Raises:
        NothingToAudit: no label holds an answer with a grade.
        SampleTooSmall: n is less than one per kind.
        QueryUnknown: a drawn label is of none of the queries.
    """
    strata: dict[Stratum, list[Graded]] = defaultdict(list)
    for graded in graded_answers(labels):
        strata[graded.stratum].append(graded)
    if not strata:
        raise NothingToAudit(labels.num_rows)
    if n < len(strata):
        raise SampleTooSmall(n, len(strata))
    rng, drawn = np.random.default_rng(seed), []
    for stratum, size in sorted(allocate({key: len(found) for key, found in strata.items()}, n).items()):
        members = sorted(strata[stratum])
        drawn += [members[i] for i in rng.choice(len(members), size=size, replace=False)]
    rows = {
        row["query_id"]: row for row in queries.select(["query_id", "query", "ground_truth", "aliases"]).to_pylist()
    }
    return [_row(drawn[i], rows) for i in rng.permutation(len(drawn))]


def allocate(sizes: Mapping[Stratum, int], n: int) -> dict[Stratum, int]:
    """How many to draw of each stratum: an even share of n/2, at least 1, and the rest in proportion to what is left.

    Args:
        sizes: members of each stratum, all positive.
        n: to draw in all, at least one per stratum; with fewer members in all, every one is drawn.
    """
    even = max(1, n // (2 * len(sizes)))
    share = {stratum: min(size, even) for stratum, size in sizes.items()}
    room = {stratum: size - share[stratum] for stratum, size in sizes.items()}
    left = min(n - sum(share.values()), sum(room.values()))
    if left > 0:
        exact = {stratum: left * free / sum(room.values()) for stratum, free in room.items()}
        share = {stratum: share[stratum] + int(exact[stratum]) for stratum in sizes}
        short = left - sum(int(part) for part in exact.values())
        # largest remainders first; ties by name, so that the order of the rows does not matter
        for stratum in sorted(sizes, key=lambda s: (int(exact[s]) - exact[s], s))[:short]:
            share[stratum] += 1
    return share


def _row(graded: Graded, queries: Mapping[str, Mapping[str, Any]]) -> AuditRow:
    query = queries.get(graded.query_id)
    if query is None:
        raise QueryUnknown(graded.query_id)
    accepted = [query["ground_truth"] or "", *(query["aliases"] or ())]
    return AuditRow(graded.audit_id, query["query"], " | ".join(accepted), graded.answer)


def _audit_id(query_id: str, role: str, answer: str) -> str:
    """A digest: found again in the labels, and of another answer once the answer is another."""
    # Begins with a letter, or spreadsheets would read some as numbers such as 12e4567 and write them back otherwise.
    return "a" + hashlib.sha256(json.dumps([query_id, role, answer]).encode("ascii")).hexdigest()[:15]
