"""Labelling: the true policy of every query, shard by shard."""

import json
import logging

from prefect import task
from prefect.cache_policies import INPUTS

from calib.policy import OracleMatrix
from storage.artifact import Artifact, read_metadata, read_table, write_table
from storage.errors import NoOutcomeMatches
from storage.layout import Home
from storage.schemas import SCHEMAS
from tasks.cache import STORED
from tasks.errors import NoGroundTruth
from tasks.oracle import ORACLES
from tasks.oracle.api import Labelled
from tasks.oracle.desk import Desk, open_desk
from tasks.oracle.pace import Pace
from tasks.oracle.quota import quota_slots
from tasks.oracle.spec import ApiOracle, OracleSpec, ReplayOracle

logger = logging.getLogger(__name__)

# Bump when prompts, parsing or grading change what a label says. An edit that does not is free.
LABEL_VERSION = "3"

# What a label costs and how fast it comes does not change what it says.
LABEL_CACHE = INPUTS - "pace" - "slots"


@task(name="label", task_run_name="label {queries.rows} queries ({oracle.kind})", cache_policy=LABEL_CACHE, **STORED)
def label_shard(
    queries: Artifact,
    oracle: OracleSpec,
    matrix: OracleMatrix,
    version: str = LABEL_VERSION,
    pace: Pace | None = None,
    slots: int = 1,
) -> Artifact:
    """Labels of one shard of queries; one behind an API goes through the desk that the flow has opened.

    Args:
        queries: the shard.
        oracle: who labels.
        matrix: grades to policy.
        version: of what a label says.
        pace: for an API, how to ask.
        slots: for an API, slots of the shared quota to take.
    """
    if pace is None or not isinstance(oracle, ApiOracle):
        return write_table(ORACLES[oracle.kind](read_table(queries), oracle, matrix), "labels", home=Home.from_env())
    desk = open_desk(pace.job)
    with quota_slots(pace.quota, slots, desk):
        return _stored(ORACLES[oracle.kind](read_table(queries), oracle, matrix, desk))


def label_finished(queries: Artifact, oracle: ApiOracle, matrix: OracleMatrix, desk: Desk) -> Artifact:
    """Labels of those queries of a shard that the ledger has every response for. Not a task: it must not be reused."""
    return _stored(ORACLES[oracle.kind](read_table(queries), oracle, matrix, desk))


def no_labels() -> Artifact:
    """A table of labels without rows."""
    return write_table(SCHEMAS["labels"].empty_table(), "labels", home=Home.from_env())


def unlabelled(labels: Artifact) -> dict[str, str]:
    """query_id -> why it got no label, as an API oracle left it in the artifact."""
    return dict(json.loads(read_metadata(labels).get("unlabelled", "{}")))


def _stored(labelled: Labelled) -> Artifact:
    said = {"unlabelled": json.dumps(labelled.unlabelled, sort_keys=True)}
    return write_table(labelled.table, "labels", home=Home.from_env(), metadata=said)


def check_labelled(labels: Artifact, queries: Artifact, oracle: OracleSpec) -> None:
    """Refuse an empty harvest, and say how many queries got no label.

    Raises:
        NoOutcomeMatches: no recorded outcome is of one of these queries.
        NoGroundTruth: no query has an answer to grade against.
    """
    if not labels.rows:
        if isinstance(oracle, ReplayOracle):
            raise NoOutcomeMatches("the outcomes file", queries.rows)
        raise NoGroundTruth(queries.rows)
    if labels.rows < queries.rows:
        logger.warning("%d of %d queries got no label and are left out", queries.rows - labels.rows, queries.rows)
