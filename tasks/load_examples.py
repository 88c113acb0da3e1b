"""Examples on disk and in memory: labels joined to features, and the arrays that calib learns from."""

import logging
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from routecal.calib.examples import LABELLED, Examples
from routecal.calib.learn import block_choice as blocks_of
from routecal.calib.policy import POLICIES
from routecal.calib.router.pooling import DEFAULT
from routecal.storage.artifact import Artifact, read_metadata, read_table, write_table
from routecal.storage.example_join import join_examples, rows_of
from routecal.storage.layout import Home
from routecal.storage.query_identity import share_of
from routecal.tasks.cache import step
from routecal.tasks.errors import NothingInCommon

logger = logging.getLogger(__name__)


@step("join", "join {labels.rows} labels to features", on=("storage.example_join",))
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


@step("choose block", "choose the layers that the head reads", on=("calib.learn.block_choice",))
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
    loaded = Examples(
        hidden=np.concatenate([vectors_of(rows[name]) for name in blocks], axis=1).astype(np.float32),
        logits=np.array(table["logits"].to_pylist(), np.float32),
        policy=policy_index(table["router_policy"]),
        true_policy=policy_index(table["true_policy"]),
        split=np.array(table["split"].to_pylist(), np.str_),
        verbal=np.array(rows["verbal"].to_pylist(), np.float32) if verbal else None,
        share=np.array([share_of(text, "fold") for text in table["query"].to_pylist()]),
    )
    loaded.check()
    return loaded


def load_blocks(
    examples: Artifact, features: Artifact, names: Sequence[str] | None = None
) -> dict[str, NDArray[np.float32]]:
    """(n, d) vectors of every block by its name, in the rows of `load_examples`; default: `block_names`."""
    names, ids = names or block_names(features), read_table(examples, columns=["query_id"])["query_id"]
    rows = rows_of(read_table(features, columns=["query_id", *names]), ids)
    return {name: vectors_of(rows[name]).astype(np.float32) for name in names}


def block_names(features: Artifact) -> tuple[str, ...]:
    """The blocks that a confidence head may read, the default one first, which old files hold without a word."""
    return tuple(read_metadata(features).get("blocks", DEFAULT).split())


def outcome_block_names(features: Artifact) -> tuple[str, ...]:
    """The blocks that an outcome head reads; none in files of before there were outcome heads."""
    return tuple(read_metadata(features).get("outcome_blocks", "").split())


def vectors_of(column: pa.ChunkedArray) -> NDArray[np.floating]:
    """(n, d) values of a column of lists of one length, in the number type that they are stored in."""
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat.reshape(len(column), -1))


def policy_index(names: pa.ChunkedArray) -> NDArray[np.int64]:
    """(n,) index into POLICIES of every name."""
    index = {policy.value: i for i, policy in enumerate(POLICIES)}
    return np.array([index[name] for name in names.to_pylist()], np.int64)
