"""The columns of the tables that the benchmark and the ablation make; part of `storage.schemas.SCHEMAS`."""

import pyarrow as pa

_TEXT, _COUNT, _REAL = pa.string(), pa.int64(), pa.float64()

# A 1-tuple marks a column that may hold nulls.
BENCHMARK: dict[str, dict[str, pa.DataType | tuple[pa.DataType]]] = {
    # one query of one outcomes file, under the protocol; near-identical queries have the same cluster
    "benchmark_rows": {
        "query_id": _TEXT,
        "query": _TEXT,
        "topic": (_TEXT,),
        "true_policy": _TEXT,
        "part": _TEXT,
        "cluster": _TEXT,
    },
    # test query x method of one set, router and seed, which are in the file's metadata
    "benchmark_cell": {"query_id": _TEXT, "target": _TEXT, "method": _TEXT, "p": _REAL, "is_correct": pa.bool_()},
    # the cells of a run; target is whose test rows these are: the set itself, or another one under shift
    "benchmark_predictions": {
        "query_id": _TEXT,
        "set": _TEXT,
        "target": _TEXT,
        "router": _TEXT,
        "seed": _COUNT,
        "method": _TEXT,
        "p": _REAL,
        "is_correct": pa.bool_(),
    },
    # set x target x router x method x seed (null: over all of them) x metric; null where the metric is undefined
    "benchmark_scores": {
        "metric": _TEXT,
        "set": _TEXT,
        "target": _TEXT,
        "router": _TEXT,
        "method": _TEXT,
        "seed": (_COUNT,),
        "value": (_REAL,),
        "low": (_REAL,),
        "high": (_REAL,),
    },
    # metric of method minus that of reference, paired; set, target and router are null over all of them, seed over all
    "benchmark_differences": {
        "metric": _TEXT,
        "method": _TEXT,
        "reference": _TEXT,
        "set": (_TEXT,),
        "target": (_TEXT,),
        "router": (_TEXT,),
        "seed": (_COUNT,),
        "value": (_REAL,),
        "low": (_REAL,),
        "high": (_REAL,),
    },
}
