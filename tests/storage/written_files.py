"""Files that the tests of reading write, and two queries as they must come back."""

import json

import pyarrow as pa
import pyarrow.feather

from routecal.storage.ingest import read_queries

TWO = [("Who?", "a"), ("Was heißt «è»?", "b")]


def pairs(path):
    return [(row["query"], row["ground_truth"]) for row in read_queries(path).to_pylist()]


def put(folder, name, content):
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / name


def arrow_table():
    return pa.table({"query": [q for q, _ in TWO], "ground_truth": [t for _, t in TWO], "n": [1, 2]})


def jsonl(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path
