"""What the frozen backbone makes of every query of a benchmark: extracted once, shard by shard, kept in memory."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from routecal.calib.router.checkpoint import attach_routing_head
from routecal.calib.router.pooling import DEFAULT
from routecal.calib.settings import Reading
from routecal.storage.artifact import Artifact, read_table
from routecal.storage.folder_artifact import local_folder, write_folder
from routecal.storage.layout import Home
from routecal.tasks.benchmark.outcome_sets import OutcomeSet
from routecal.tasks.cache import step
from routecal.tasks.extract import extract_shards
from routecal.tasks.load_examples import block_names, outcome_block_names, vectors_of
from routecal.tasks.queries import queries_of
from routecal.tasks.sharding import shards

# Bump when a backbone without a head becomes another router than it is.
BACKBONE_VERSION = "1"


@step("prepare backbone", "prepare backbone", on=None)
def headless(base: Artifact, version: str = BACKBONE_VERSION) -> Artifact:
    """The base model as a classifier over the policies whose head is zero: it is read for its hidden states alone."""

    def build(folder: Path) -> None:
        attach_routing_head(local_folder(base), None, folder)

    return write_folder("routers", build, home=Home.from_env())


def extract_sets(sets: Sequence[OutcomeSet], backbone: Artifact, reading: Reading, shard_size: int) -> Artifact:
    """Features of every distinct query of the sets, in their order; a question of several sets is read once."""
    seen: set[str] = set()
    parts: list[Artifact] = []
    for one in sets:
        table = read_table(one.rows, columns=["query_id", "query"])
        new = [query_id not in seen for query_id in table["query_id"].to_pylist()]
        seen.update(table["query_id"].to_pylist())
        if any(new):
            parts += shards(queries_of(table.filter(pa.array(new)), "benchmark"), shard_size)
    return extract_shards(parts, backbone, reading)[0]


class Features(NamedTuple):
    """Features in memory.

    Attributes:
        place: query_id -> row.
        blocks: (n, d) float16 by name, the default block first.
    """

    place: dict[str, int]
    blocks: dict[str, NDArray[np.float16]]

    def of(self, query_ids: Sequence[str], block: str = DEFAULT) -> NDArray[np.float32]:
        """(n, d) of these queries, in their order."""
        return np.asarray(self.blocks[block][[self.place[i] for i in query_ids]], np.float32)


@lru_cache(maxsize=1)
def load_features(features: Artifact) -> Features:
    """All blocks of the features; read once per process, as every cell of a benchmark starts from them."""
    names = list(dict.fromkeys((*block_names(features), *outcome_block_names(features))))
    table = read_table(features, columns=["query_id", *names])
    place = {query_id: row for row, query_id in enumerate(table["query_id"].to_pylist())}
    return Features(place, {name: vectors_of(table[name]) for name in names})
