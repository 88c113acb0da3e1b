"""Labelling: the true policy of every query, shard by shard."""

import logging

from prefect import task
from prefect.cache_policies import INPUTS

from calib.policy import OracleMatrix
from storage.artifact import Artifact, read_table, write_table
from storage.errors import NoOutcomeMatches
from storage.layout import Home
from tasks.cache import STORED
from tasks.errors import NoGroundTruth
from tasks.oracle import ORACLES
from tasks.oracle.spec import OracleSpec, ReplayOracle

logger = logging.getLogger(__name__)

# Bump when prompts, parsing or grading change what a label says. An edit that does not is free.
LABEL_VERSION = "3"


@task(name="label", task_run_name="label {queries.rows} queries ({oracle.kind})", cache_policy=INPUTS, **STORED)
def label_shard(queries: Artifact, oracle: OracleSpec, matrix: OracleMatrix, version: str = LABEL_VERSION) -> Artifact:
    """Labels of one shard of queries."""
    table = ORACLES[oracle.kind](read_table(queries), oracle, matrix)
    return write_table(table, "labels", home=Home.from_env())


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
