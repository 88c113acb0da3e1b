"""The columns of the tables that the benchmark and the ablation make; part of `storage.schemas.SCHEMAS`."""

import pyarrow as pa

_TEXT, _COUNT, _REAL = pa.string(), pa.int64(), pa.float64()

# A 1-tuple marks a column that may hold nulls.
BENCHMARK: dict[str, dict[str, pa.DataType | tuple[pa.DataType]]] = {
    # one query of one outcomes file, under one division of the protocol; near-identical queries have the same cluster
    "benchmark_rows": {
        "query_id": _TEXT,
        "query": _TEXT,
        "topic": (_TEXT,),
        "true_policy": _TEXT,
        "medium_grade": _TEXT,
        "large_grade": _TEXT,
        "medium_cost_usd": (_REAL,),
        "large_cost_usd": (_REAL,),
        "part": _TEXT,
        "cluster": _TEXT,
    },
    # test query x method of one set, router, division and seed, which are in the file's metadata
    "benchmark_cell": {"query_id": _TEXT, "target": _TEXT, "method": _TEXT, "p": _REAL, "is_correct": pa.bool_()},
    # labelled or test query x decision rule of one set, router, division, seed and number of labels (metadata); need is
    # infinite where a query is never kept; probabilities are null where a rule states none
    "benchmark_decisions": {
        "query_id": _TEXT,
        "part": _TEXT,
        "rule": _TEXT,
        "need": _REAL,
        "medium_right": (_REAL,),
        "large_right": (_REAL,),
        "confidence": (_REAL,),
        "is_correct": pa.bool_(),
    },
    # the cells of a run; target is whose test rows these are: the set itself, or another one under shift
    "benchmark_predictions": {
        "query_id": _TEXT,
        "set": _TEXT,
        "target": _TEXT,
        "router": _TEXT,
        "division": _COUNT,
        "seed": _COUNT,
        "method": _TEXT,
        "p": _REAL,
        "is_correct": pa.bool_(),
    },
    # set x target x router x method x labels x (division, seed) x metric, division and seed null over all of them; null
    # where the metric is undefined
    "benchmark_scores": {
        "metric": _TEXT,
        "set": _TEXT,
        "target": _TEXT,
        "router": _TEXT,
        "method": _TEXT,
        "labels": _COUNT,
        "division": (_COUNT,),
        "seed": (_COUNT,),
        "value": (_REAL,),
        "low": (_REAL,),
        "high": (_REAL,),
    },
    # metric of method minus that of reference, paired; set, target and router are null over all of them, division and
    # seed over all
    "benchmark_differences": {
        "metric": _TEXT,
        "method": _TEXT,
        "reference": _TEXT,
        "set": (_TEXT,),
        "target": (_TEXT,),
        "router": (_TEXT,),
        "labels": _COUNT,
        "division": (_COUNT,),
        "seed": (_COUNT,),
        "value": (_REAL,),
        "low": (_REAL,),
        "high": (_REAL,),
    },
}
