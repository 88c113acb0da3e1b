"""Eight queries and what a run stored of them, for statistics by hand."""

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from routecal.storage.artifact import write_table
from routecal.storage.query import connect, run
from routecal.storage.query_files import header
from routecal.storage.schemas import SCHEMAS
from tests.storage.conftest import filled

IDS = [f"q{i}" for i in range(8)]
TEXTS = ["What's up?", "what s  UP", "Is C++ hard?", "is C hard", "Is c hard?!", "Who?", "When?", "Where?"]
TOPICS = ["a", "a", "a", "b", "b", None, "b", "a"]
DAYS = [1, 1, 1, 1, 3, 3, None, 3]
POLICIES = ["Standard_Query", "Standard_Query", "Complex_Query", "Standard_Query", "Standard_Query", "Complex_Query"]
SPLITS = ["train", "test", "test", "test", "test", "test"]
RIGHT = [True, True, False, False, True, True]
P = [0.9, 0.8, 0.6, 0.25, 0.95, 0.85]
VALUES = {"method": "sft", "split": "test", "n_bins": 2, "since": None}


def day(number):
    return None if number is None else datetime(2026, 11, number, tzinfo=UTC)


def votes(*words):
    """As labels store them; a word is a seat's first letter and a grade's, "-" for none."""
    seats = {"f": "first", "s": "second", "t": "third"}
    grades = {"C": "CORRECT", "I": "INCORRECT", "-": None}
    return json.dumps([{"judge": "j", "seat": seats[seat], "grade": grades[grade]} for seat, grade in words])


def predicted(p=P, right=RIGHT):
    n = len(p)
    return pa.table(
        {
            "query_id": [*IDS[:n], "q1"],
            "method": ["sft"] * n + ["rl"],
            "split": [*SPLITS[:n], "test"],
            "p": [*p, 0.1],
            "is_correct": [*right, True],
        },
        schema=SCHEMAS["predictions"],
    )


def store(home):
    """Eight queries: q6 has no features, q7 no label."""
    tables = {
        "queries": filled("queries", 8, query_id=IDS, query=TEXTS, topic=TOPICS, received_at=[day(d) for d in DAYS]),
        "features": filled(
            *("features", 7),
            query_id=[*IDS[:6], "q7"],
            logits=[[0.0]] * 7,
            hidden=pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(7, np.float16)), 1),
        ),
        "labels": filled(
            *("labels", 7),
            query_id=IDS[:7],
            oracle=["api"] * 7,
            medium_model=["mid"] * 7,
            large_model=["big"] * 7,
            medium_grade=["CORRECT"] * 3 + [None] + ["CORRECT"] * 3,
            large_grade=["CORRECT"] * 7,
            true_policy=["Standard_Query"] * 4 + ["Complex_Query"] * 3,
            medium_cost_usd=[1.0, 1.0] + [None] * 5,
            large_cost_usd=[2.0] + [None] * 6,
            medium_votes=[
                *(votes("fC", "sC"), votes("fC", "sI"), votes("f-", "fC", "sC"), votes("fC", "fI", "sI", "tI")),
                *(votes("fC"), "[]", None),
            ],
            large_votes=[votes("fC", "sI", "tC"), *["[]"] * 4, votes("f-"), None],
            labelled_at=[day(4)] * 5 + [day(2), day(4)],
        ),
        "examples": filled(
            *("examples", 6),
            query_id=IDS[:6],
            query=TEXTS[:6],
            topic=TOPICS[:6],
            router_policy=POLICIES,
            split=SPLITS,
            is_correct=RIGHT,
            logits=[[0.0]] * 6,
        ),
        "predictions": predicted(),
        "nights": filled("nights", 2, run_id=["n1", "n2"], ended_at=[day(1), day(2)]),
    }
    return {kind: write_table(table, kind, home=home) for kind, table in tables.items()}


def rows(views, name, **values):
    """Of one query, the rows as a list of dicts."""
    with connect(**views) as con:
        table = run(con, name, **{param: (VALUES | values)[param] for param in header(name, "params")})
    return table.to_pylist()


def some(found, *columns):
    return [tuple(row[column] for column in columns) for row in found]
