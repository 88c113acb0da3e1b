"""Labelling: the true policy of every query, shard by shard."""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Collection
from itertools import islice
from textwrap import shorten

from prefect.cache_policies import INPUTS

from routecal.calib.policy import OracleMatrix
from routecal.plain_text import plain
from routecal.storage.artifact import Artifact, read_metadata, read_table, write_table
from routecal.storage.input_errors import NoOutcomeMatches
from routecal.storage.layout import Home
from routecal.tasks.cache import WhileItStands, step
from routecal.tasks.errors import NoGroundTruth, NothingLabelled
from routecal.tasks.oracle.api_labels import BROKEN_REPLY, REFUSED, Labelled, label_queries
from routecal.tasks.oracle.api_oracle import ApiJudges, ApiOracle
from routecal.tasks.oracle.concurrency_quota import quota_slots
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.engine.stop_reasons import LabellingStopped
from routecal.tasks.oracle.job_runner import runner_of
from routecal.tasks.oracle.label_row import JUDGE_ERROR, ROLES, UNCONFIRMED
from routecal.tasks.oracle.oracle_registry import ORACLES
from routecal.tasks.oracle.oracle_spec import OracleSpec
from routecal.tasks.oracle.replay_oracle import ReplayOracle

logger = logging.getLogger(__name__)

# Bump when prompts, parsing or grading change what a label says. An edit that does not is free.
LABEL_VERSION = "4"

# In the metadata of labels: why queries have none.
UNLABELLED = "unlabelled"

# Of a query that nothing can be graded against, as `tasks.oracle.api_oracle` says it.
NO_TRUTH = "no ground truth"

# Why a query has no label that it may get another time: the provider or the judge may have been mended since. What was
# bought for it is in the ledger, so that only what was of no use is asked for again.
PASSING = {REFUSED, BROKEN_REPLY, JUDGE_ERROR, UNCONFIRMED}


def is_settled(labels: object) -> bool:
    """Whether every query of a shard has a label, or will never get one."""
    if not isinstance(labels, Artifact):
        return False
    reasons = unlabelled(labels).values()
    return not any(in_short(part) in PASSING for reason in reasons for part in reason.split("; "))


# What a label costs and how fast it comes does not change what it says.
LABEL_CACHE = WhileItStands(policy=INPUTS - "pace" - "slots", holds=is_settled)


# Limiter, budget and the ledger's job are this process's.
@step("label", "label {queries.rows} queries ({oracle.kind})", on=LABEL_CACHE, stays=True)
def label_shard(
    queries: Artifact,
    oracle: OracleSpec,
    matrix: OracleMatrix,
    version: str = LABEL_VERSION,
    pace: Pace | None = None,
    slots: int = 1,
) -> Artifact:
    """Labels of one shard of queries; one behind an API goes through the runner that the flow has opened.

    Args:
        queries: the shard.
        oracle: who labels.
        matrix: grades to policy.
        version: of what a label says.
        pace: for an API, how to ask.
        slots: for an API, slots of the shared quota to take.
    """
    if not isinstance(oracle, ApiOracle):
        label = ORACLES[oracle.kind].label
        assert label is not None
        return write_table(label(read_table(queries), oracle, matrix), "labels", home=Home.from_env())
    assert pace is not None
    runner = runner_of(pace.job)
    with quota_slots(pace.quota, slots, runner):
        work = label_queries(read_table(queries), oracle, matrix, runner)
        return store_labelled(asyncio.run_coroutine_threadsafe(work, runner.loop).result())


def unlabelled(labels: Artifact) -> dict[str, str]:
    """query_id -> why it got no label, as an API oracle left it in the artifact."""
    return dict(json.loads(read_metadata(labels).get(UNLABELLED, "{}")))


def store_labelled(labelled: Labelled) -> Artifact:
    """Store labels, and beside them why the other queries have none."""
    said = {UNLABELLED: json.dumps(labelled.unlabelled, sort_keys=True)}
    return write_table(labelled.table, "labels", home=Home.from_env(), metadata=said)


def check_labelled(
    labels: Artifact, queries: Artifact, oracle: OracleSpec | ApiJudges, stopped: LabellingStopped | None = None
) -> None:
    """Refuse a run without labels, or one that was stopped early, and say which queries got no label and why.

    Raises:
        LabellingStopped: `stopped`, if it is one.
        NoOutcomeMatches: no recorded outcome is of one of these queries.
        NoGroundTruth: no query has an answer to grade against.
        NothingLabelled: there are other reasons; says which.
    """
    if stopped is not None:
        raise stopped
    reasons = unlabelled(labels)
    if not labels.rows:
        if isinstance(oracle, ReplayOracle):
            raise NoOutcomeMatches("the outcomes file", queries.rows)
        counts = Counter(map(in_short, reasons.values()))
        if set(counts) <= {NO_TRUTH}:
            raise NoGroundTruth(queries.rows)
        most = counts.most_common()
        example = next(reason for reason in reasons.values() if in_short(reason) == most[0][0])
        said = example.partition(": ")[2]
        # That the judge failed on both answers is no news; what it said instead is.
        is_news = not set(said.split(", ")) <= set(ROLES)
        raise NothingLabelled(queries.rows, dict(most), said if is_news else "")
    if labels.rows == queries.rows:
        return
    without = [query_id for query_id, reason in reasons.items() if reason == NO_TRUTH]
    if without:
        logger.warning(
            "%d of %d queries have no ground truth and are left out: %s",
            len(without),
            queries.rows,
            named(queries, without),
        )
    others = Counter(in_short(reason) for reason in reasons.values() if reason != NO_TRUTH)
    if others or not without:
        listed = ", ".join(f"{reason} ({n})" for reason, n in others.most_common())
        logger.warning(
            "%d of %d queries got no label and are left out%s",
            queries.rows - labels.rows - len(without),
            queries.rows,
            f": {listed}" if listed else "",
        )


def in_short(reason: str) -> str:
    """The part of a reason to count by: `judge error` of `judge error: large`."""
    return reason.partition(":")[0]


def named(queries: Artifact, query_ids: Collection[str], *, at_most: int = 5) -> str:
    """The first few of some queries by the user's own ids, or, of those who have none, by the beginning of the text."""
    table = read_table(queries, columns=["query_id", "external_id", "query"])
    wanted = set(query_ids)
    rows = (row for row in table.to_pylist() if row["query_id"] in wanted)
    names = [row["external_id"] or f"«{shorten(row['query'], 40, placeholder='…')}»" for row in islice(rows, at_most)]
    more = f" and {len(wanted) - at_most} more" if len(wanted) > at_most else ""
    return ", ".join(plain(name, at_most=60) for name in names) + more
