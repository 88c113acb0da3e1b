"""Homes to store in, and a small set of tables that fit together."""

import uuid
from datetime import UTC, datetime

import fsspec
import numpy as np
import pyarrow as pa
import pytest

from routecal.storage.artifact import write_table
from routecal.storage.layout import Home
from routecal.storage.query_identity import query_id
from routecal.storage.schemas import SCHEMAS, conform
from tests.storage.ledger.ledgers import Ledgers
from tests.storage.ledger.postgres import postgres

__all__ = ["postgres"]

TEXTS = [f"What is question number {i}?" for i in range(10)]
WHEN = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


@pytest.fixture(params=["local", "memory", pytest.param("s3", marks=pytest.mark.served)])
def home(request, tmp_path):
    if request.param == "local":
        yield Home(root=str(tmp_path / "home"))
        return
    if request.param == "s3":
        request.getfixturevalue("s3")
        yield Home(root="s3://bucket/home")
        return
    root = f"home-{uuid.uuid4().hex}"
    yield Home(root=f"memory://{root}")
    fs = fsspec.filesystem("memory")
    if fs.exists(f"/{root}"):
        fs.rm(f"/{root}", recursive=True)


@pytest.fixture
def local_home(tmp_path):
    return Home(root=str(tmp_path / "home"))


@pytest.fixture
def stored(local_home):
    # It imports this module.
    from tests.storage.eight_queries import store

    return store(local_home)


@pytest.fixture
def views(stored, local_home):
    from tests.storage.eight_queries import predicted

    later = write_table(predicted([0.5] * 6), "predictions", home=local_home)
    return stored | {"night_predictions": {"n2": later, "n1": stored["predictions"]}, "night_examples": None}


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request, tmp_path):
    """Where no ledger is yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.sqlite"
    return request.getfixturevalue("postgres").fresh_url()


@pytest.fixture
def ledgers(ledger_url):
    made = Ledgers(ledger_url)
    yield made
    made.dispose()


def filled(kind, n=10, **columns):
    """A table of `kind` with nulls where they may be and zeros or blanks elsewhere, but for `columns`."""
    blank = {pa.string(): "", pa.int32(): 0, pa.int64(): 0, pa.float64(): 0.0, pa.bool_(): False}
    arrays = {}
    for field in SCHEMAS[kind]:
        if field.name in columns:
            value = columns[field.name]
            arrays[field.name] = value if isinstance(value, pa.Array) else pa.array(value, field.type)
        else:
            default = None if field.nullable else WHEN if pa.types.is_timestamp(field.type) else blank[field.type]
            arrays[field.name] = pa.array([default] * n, field.type)
    return conform(pa.table(arrays), kind)


@pytest.fixture
def queries():
    return filled("queries", query_id=[query_id(t) for t in TEXTS], query=TEXTS, topic=[*list("aaaaabbbb"), None])


@pytest.fixture
def features():
    hidden = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(40, dtype=np.float16)), 4)
    return filled(
        "features",
        query_id=[query_id(t) for t in TEXTS],
        router_policy=["Standard_Query"] * 6 + ["Complex_Query"] * 4,
        logits=[[float(i), 0.0, 1.0] for i in range(10)],
        hidden=hidden,
        n_tokens=list(range(10)),
    )


@pytest.fixture
def labels():
    return filled(
        "labels",
        query_id=[query_id(t) for t in TEXTS],
        medium_grade=["CORRECT"] * 4 + ["INCORRECT"] * 6,
        large_grade=["CORRECT"] * 8 + ["INCORRECT"] * 2,
        true_policy=["Standard_Query"] * 4 + ["Complex_Query"] * 4 + ["Ambiguous_Query"] * 2,
        medium_cost_usd=[0.5] * 4 + [0.0] + [None] * 5,
        large_cost_usd=[2.0] * 10,
        medium_tokens_in=[10] * 9 + [None],
        medium_tokens_out=[1] * 10,
        judge_tokens_in=[700] * 6 + [0, 0, None, None],
        judge_tokens_out=[40] * 6 + [0, 0, None, 40],
    )
