"""Examples on disk and in memory: labels joined to features, and the arrays that calib learns from."""

import logging

import numpy as np
from prefect import task

from calib.examples import WARN_BELOW, Examples
from calib.policy import POLICIES
from storage.artifact import Artifact, read_metadata, read_table, write_table
from storage.examples import join_examples, rows_of
from storage.layout import Home
from tasks.cache import STORED, cache_on

logger = logging.getLogger(__name__)


@task(
    name="join",
    task_run_name="join {labels.rows} labels to features",
    cache_policy=cache_on("storage.examples", "storage.identity"),
    **STORED,
)
def join(queries: Artifact, labels: Artifact, features: Artifact) -> Artifact:
    """One example per query that has both a label and a feature."""
    feature_columns = ["query_id", "router_policy", "logits", "n_tokens", "truncated"]
    found = join_examples(read_table(queries), read_table(labels), read_table(features, columns=feature_columns))
    for what, n in found.unmatched.items():
        if n:
            logger.warning("%d rows of %s have no partner and are left out", n, what)
    return write_table(found.table, "examples", home=Home.from_env(), metadata=read_metadata(features))


def load_examples(examples: Artifact, features: Artifact) -> Examples:
    """The arrays of the examples, hidden states beside them, checked to be fit for calibration.

    Raises:
        CalibError: too few, one class only, NaN in the features.
    """
    columns = ["query_id", "router_policy", "true_policy", "split", "logits"]
    table = read_table(examples, columns=columns)
    vectors = rows_of(read_table(features, columns=["query_id", "hidden"]), table["query_id"])["hidden"]
    flat = vectors.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    index = {p.value: i for i, p in enumerate(POLICIES)}
    loaded = Examples(
        hidden=flat.reshape(table.num_rows, -1).astype(np.float32),
        logits=np.array(table["logits"].to_pylist(), np.float32),
        policy=np.array([index[name] for name in table["router_policy"].to_pylist()], np.int64),
        true_policy=np.array([index[name] for name in table["true_policy"].to_pylist()], np.int64),
        split=np.array(table["split"].to_pylist(), np.str_),
    )
    loaded.check()
    if len(loaded) < WARN_BELOW:
        logger.warning("only %d labelled examples: intervals are widened to 99%%, trust no single number", len(loaded))
    return loaded
