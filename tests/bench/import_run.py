"""One import in a process of its own, shards, and a stand-in for reading them: `python -m tests.bench.import_run FILE`.

Prints JSON: seconds and peak MiB of the import, seconds and peak MiB of all of it, MiB before it, and the sha256 of the
queries and of the joined features. The peak is the kernel's own for this process (VmHWM).
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.layout import Home
from routecal.tasks.queries import import_queries
from routecal.tasks.sharding import joined, shards

SHARD, WIDTH = 500, 16


def memory_mib(field: str) -> float:
    """Of this process: VmHWM is the most it ever had, VmRSS what it has now."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith(field)) / 1024


def read(shard: Artifact) -> Artifact:
    """Features of the form that a router's have, out of nothing but the length of every text."""
    table = read_table(shard, columns=["query_id", "query"])
    length = np.array([len(text) for text in table["query"].to_pylist()], np.float32)
    hidden = np.outer(length, np.ones(WIDTH)).astype(np.float16)
    columns = {
        "query_id": table["query_id"],
        "router_policy": pa.array(["Standard_Query"] * len(length)),
        "logits": pa.array(list(np.outer(length, np.ones(3, np.float32))), pa.list_(pa.float32())),
        "hidden": pa.FixedSizeListArray.from_arrays(pa.array(hidden.ravel()), WIDTH),
        "n_tokens": pa.array(length.astype(np.int32)),
        "truncated": pa.array(np.zeros(len(length), bool)),
    }
    return write_table(pa.table(columns), "features", home=Home.from_env())


def main(file: str) -> None:
    """Import, cut, read and join."""
    before = memory_mib("VmRSS")
    began = time.perf_counter()
    queries = import_queries(file)
    import_s, import_mib = time.perf_counter() - began, memory_mib("VmHWM")
    features = joined([read(shard) for shard in shards(queries, SHARD)])
    said = {
        "import_s": import_s,
        "import_mib": import_mib,
        "all_s": time.perf_counter() - began,
        "all_mib": memory_mib("VmHWM"),
        "before_mib": before,
        "names": [queries.sha256, features.sha256],
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1])
