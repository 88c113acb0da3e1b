"""Examples on disk and in memory: labels joined to features, and the arrays that calib learns from."""

import logging
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from prefect import task

from routecal.calib.examples import LABELLED, Examples
from routecal.calib.learn import block_choice as blocks_of
from routecal.calib.policy import POLICIES
from routecal.calib.router.pooling import DEFAULT
from routecal.storage.artifact import Artifact, read_metadata, read_table, write_table
from routecal.storage.example_join import join_examples, rows_of
from routecal.storage.layout import Home
from routecal.storage.query_identity import share_of
from routecal.tasks.cache import STORED, cache_on
from routecal.tasks.errors import NothingInCommon

logger = logging.getLogger(__name__)


@task(
    name="join",
    task_run_name="join {labels.rows} labels to features",
    cache_policy=cache_on(__name__, "storage.example_join"),
    **STORED,
)
def join(queries: Artifact, labels: Artifact, features: Artifact) -> Artifact:
    """One example per query that has both a label and a feature.

    Raises:
        NothingInCommon: no query has.
    """
    feature_columns = ["query_id", "router_policy", "logits", "n_tokens", "truncated"]
    found = join_examples(read_table(queries), read_table(labels), read_table(features, columns=feature_columns))
    if not found.table.num_rows:
        raise NothingInCommon(queries.rows, labels.rows, features.rows)
    for what, n in found.unmatched.items():
        if n:
            logger.warning("%d rows of %s have no partner and are left out", n, what)
    return write_table(found.table, "examples", home=Home.from_env(), metadata=read_metadata(features))


@task(
    name="choose block",
    task_run_name="choose the layers that the head reads",
    cache_policy=cache_on(__name__, "calib.learn.block_choice"),
    **STORED,
)
def choose_blocks(examples: Artifact, features: Artifact, seed: int) -> list[str]:
    """The blocks that a head should read, by a cross-validated probe on the labelled rows; test rows have no say."""
    labelled = load_examples(examples, features)
    taught = np.isin(labelled.split, LABELLED)
    blocks = {name: vectors[taught] for name, vectors in load_blocks(examples, features).items()}
    return list(blocks_of.choose_blocks(blocks, labelled.where(taught), seed=seed).names)


def load_examples(examples: Artifact, features: Artifact, *, blocks: Sequence[str] = (DEFAULT,)) -> Examples:
    """The arrays of the examples, hidden states beside them, checked to be fit for calibration.

    Args:
        examples, features: what `join` returned, and what it joined to.
        blocks: names of the blocks that `hidden` is made of, side by side in this order (`block_names` lists them).

    Raises:
        CalibError: too few, one class only, NaN in the features.
        SchemaMismatch: the features hold no such block.
    """
    table = read_table(examples, columns=["query_id", "query", "router_policy", "true_policy", "split", "logits"])
    verbal = ["verbal"] if "verbal_sha256" in read_metadata(features) else []
    rows = rows_of(read_table(features, columns=["query_id", *verbal, *blocks]), table["query_id"])
    index = {p.value: i for i, p in enumerate(POLICIES)}
    loaded = Examples(
        hidden=np.concatenate([_vectors(rows[name]) for name in blocks], axis=1),
        logits=np.array(table["logits"].to_pylist(), np.float32),
        policy=np.array([index[name] for name in table["router_policy"].to_pylist()], np.int64),
        true_policy=np.array([index[name] for name in table["true_policy"].to_pylist()], np.int64),
        split=np.array(table["split"].to_pylist(), np.str_),
        verbal=np.array(rows["verbal"].to_pylist(), np.float32) if verbal else None,
        share=np.array([share_of(text, "fold") for text in table["query"].to_pylist()]),
    )
    loaded.check()
    return loaded


def load_blocks(
    examples: Artifact, features: Artifact, *, names: Sequence[str] | None = None
) -> dict[str, NDArray[np.float32]]:
    """(n, d) vectors by block name, in the rows of `load_examples`; all blocks when `names` is None.

    Raises:
        SchemaMismatch: the features hold no such block.
    """
    wanted = block_names(features) if names is None else tuple(names)
    ids = read_table(examples, columns=["query_id"])["query_id"]
    rows = rows_of(read_table(features, columns=["query_id", *wanted]), ids)
    return {name: _vectors(rows[name]) for name in wanted}


def block_names(features: Artifact) -> tuple[str, ...]:
    """The blocks that a features table holds, the default one first; files of before there were blocks hold that."""
    return tuple(read_metadata(features).get("blocks", DEFAULT).split())


def _vectors(column: pa.ChunkedArray) -> NDArray[np.float32]:
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat.reshape(len(column), -1), np.float32)
