"""Extraction: what the frozen router makes of every query, shard by shard."""

import logging
import threading
import time
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel

from routecal.calib.errors import NonFinite
from routecal.calib.policy import POLICIES
from routecal.calib.router.effort import Effort
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.calib.router.pooling import DEFAULT
from routecal.calib.router.router_output import RouterOutput
from routecal.calib.settings import Reading
from routecal.storage.artifact import Artifact, read_metadata, read_table, write_table
from routecal.storage.folder_artifact import local_folder
from routecal.storage.layout import Home
from routecal.tasks.cache import step
from routecal.tasks.sharding import joined
from routecal.tasks.side_by_side import check_interrupted, n_at_once, results

logger = logging.getLogger(__name__)

# Bump when pooling, layer or truncation change what a feature is. 2: padded rows are read without an attention mask,
# which moves a bfloat16 state by its last bit. 3: the token that a classifier's own head reads (encoders; texts that
# end in a decoder's padding token), special tokens of the template once, 2,048 tokens of a query. 4: middle
# layers for the outcome head. 5: what prompts begin with is read once, and the names of policies after a prompt, which
# rounds in another order; what reading took is kept.
EXTRACT_VERSION = "5"
# Bump when the check of a router looks for more.
CHECK_VERSION = "1"
# Shards under way in one process: one is written while the next is read.
SHARDS_AT_ONCE = 2

# Held while a router is loaded, and while it reads: two at once would only take each other's threads.
_loading, _reading = threading.Lock(), threading.Lock()


class Extracted(BaseModel, frozen=True):
    """One shard that was read.

    Attributes:
        features: policy, logits and hidden states.
        effort: what reading it took.
        ceiling: FLOP/s of a matrix product where it was read.
        ended_at: when, in seconds since 1970.
    """

    features: Artifact
    effort: Effort
    ceiling: float
    ended_at: float


@step("check router", "check the router {router.uri}", on=None)
def check_router(router: Artifact, reading: Reading, version: str = CHECK_VERSION) -> None:
    """Open the router, which tries it on a few texts: before anything is labelled or paid for one that fails."""
    open_router(router, reading)


@step("extract", "extract {queries.rows} queries", on=None)
def extract_shard(queries: Artifact, router: Artifact, reading: Reading, version: str = EXTRACT_VERSION) -> Extracted:
    """Policy, logits and hidden state of one shard of queries."""
    table = read_table(queries, columns=["query_id", "query"])
    output, schema, ceiling = _read(table["query"].to_pylist(), router, reading)
    if cut := int(output.truncated.sum()):
        logger.warning("%d of %d queries are longer than the router's window and were cut", cut, table.num_rows)
    metadata = {**schema, "router_sha256": router.sha256}
    features = write_table(_rows(table["query_id"], output), "features", home=Home.from_env(), metadata=metadata)
    return Extracted(features=features, effort=output.effort, ceiling=ceiling, ended_at=time.time())


def extract_shards(shards: Sequence[Artifact], router: Artifact, reading: Reading) -> tuple[Artifact, str]:
    """Features of all queries, and what reading them took ("" if nothing); finished shards are not read again."""
    began = time.time()
    calls = [(shard, router, reading) for shard in shards]
    read = results(extract_shard, calls, "extract", at_once=SHARDS_AT_ONCE)
    new = [one for one in read if one.ended_at >= began]
    took = sum((one.effort for one in new), Effort()).sentence(max(one.ceiling for one in new)) if new else ""
    took += ", of each worker" if took and n_at_once() else ""
    logger.info("extract: %s", took or "all of it had been read before")
    return joined([one.features for one in read]), took


def router_of(features: Artifact) -> str:
    """Sha256 of the router that the features were read off."""
    return str(read_metadata(features)["router_sha256"])


def n_truncated(features: Artifact) -> int:
    """How many queries were longer than the router's window."""
    return sum(read_table(features, columns=["truncated"])["truncated"].to_pylist())


# A function of the module: what pickles the task by value then names this one, and not the locks, which cannot be.
def _read(queries: list[str], router: Artifact, reading: Reading) -> tuple[RouterOutput, dict[str, str], float]:
    """What the router makes of them, its schema, and its ceiling in FLOP/s."""
    with _loading:
        model = open_router(router, reading)
    # Beside another shard, which is being read; then it is this one's turn.
    tokenised = model.tokenised(queries)
    with _reading:
        check_interrupted()
        return model.read(tokenised, before_batch=check_interrupted), model.schema, model.ceiling


@lru_cache(maxsize=1)
def open_router(router: Artifact, reading: Reading) -> FrozenRouter:
    """The router, loaded once per process."""
    return FrozenRouter(local_folder(router), **reading.model_dump())


def _rows(query_id: pa.ChunkedArray, output: RouterOutput) -> pa.Table:
    blocks = {name: _halves(vectors) for name, vectors in output.blocks.items()}
    columns = {
        "query_id": query_id,
        "router_policy": pa.array([POLICIES[i].value for i in output.policy]),
        "logits": pa.array(list(output.logits), pa.list_(pa.float32())),
        DEFAULT: blocks.pop(DEFAULT),
        "n_tokens": output.n_tokens,
        "truncated": output.truncated,
    }
    verbal = {} if output.verbal is None else {"verbal": pa.array(output.verbal)}
    return pa.table(columns | verbal | blocks)


def _halves(vectors: NDArray[np.float32]) -> pa.FixedSizeListArray:
    """(n, d) vectors as a column of float16 lists."""
    with np.errstate(over="ignore"):
        half = vectors.astype(np.float16)
    if too_large := tuple(np.flatnonzero(~np.isfinite(half).all(axis=1)).tolist()):
        raise NonFinite("the router's hidden state, stored as float16,", too_large, len(half))
    return pa.FixedSizeListArray.from_arrays(pa.array(half.ravel()), half.shape[1])
