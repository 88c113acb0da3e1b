"""Calibration where it can hide: by policy, by topic, by length."""

from collections import Counter

import numpy as np
import pyarrow as pa
from prefect import task
from pydantic import BaseModel, Field

from routecal.calib.metrics import Summary, by_slice, deciles
from routecal.storage.artifact import Artifact, read_table
from routecal.storage.example_join import rows_of
from routecal.tasks.cache import STORED, cache_on

# Smaller topics are taken together: their noise bands hold nearly any ECE.
FEWEST = 20
OTHER = "(smaller topics)"


class Slices(BaseModel, frozen=True):
    """One method on parts of the test split."""

    method: str
    tables: dict[str, dict[str, Summary]] = Field(description="kind of slice -> slice -> its numbers")


@task(
    name="slices",
    task_run_name="slices: score {method} by policy, length and topic",
    cache_policy=cache_on(__name__, "storage.example_join", "calib.metrics"),
    **STORED,
)
def score_slices(predictions: Artifact, examples: Artifact, method: str, seed: int) -> Slices:
    """`method` on the test split by the router's policy, by topic (where there are some) and by decile of length.

    Intervals hold slice by slice, not all at once: of forty slices expect one outside its band.
    """
    table = read_table(examples, columns=["query_id", "topic", "router_policy", "n_tokens", "split"])
    table = table.filter(pa.compute.field("split") == "test")
    said = read_table(predictions).filter(pa.compute.field("method") == method)
    said = rows_of(said, table["query_id"])
    labels = {"router's policy": table["router_policy"].to_pylist(), "length in tokens": deciles(table["n_tokens"])}
    if any(topics := table["topic"].to_pylist()):
        counts = Counter(topics)
        labels["topic"] = [t if t is not None and counts[t] >= FEWEST else OTHER for t in topics]
    p, y = said["p"].to_numpy(), np.array(said["is_correct"].to_pylist(), np.float64)
    tables = {kind: by_slice(p, y, parts, n_replicates=400, seed=seed) for kind, parts in labels.items()}
    return Slices(method=method, tables=tables)
