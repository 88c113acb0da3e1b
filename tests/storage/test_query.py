from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from routecal.calib.metrics.bin_counts import bin_index
from routecal.calib.metrics.binned import ece
from routecal.storage.artifact import read_table, write_table
from routecal.storage.errors import ArtifactMissing, UnknownName
from routecal.storage.example_join import join_examples
from routecal.storage.layout import Home
from routecal.storage.query import connect, run
from routecal.storage.schemas import SCHEMAS
from tests.storage.conftest import filled

P = [0.0, 0.05, 0.29, 0.3, 0.5, 0.5, 0.7, 0.99, 1.0, 1.0]
Y = [False, False, True, False, True, False, True, True, True, False]
RELIABILITY = {"method": "sft", "split": "test", "n_bins": 10}


@pytest.fixture
def predictions(home):
    ids = [str(i) for i in range(10)]
    table = pa.table(
        {
            "query_id": [*ids, "0", "0"],
            "method": ["sft"] * 10 + ["rl", "sft"],
            "split": ["test"] * 11 + ["train"],
            "p": [*P, 0.5, 0.5],
            "is_correct": [*Y, True, True],
        },
        schema=SCHEMAS["predictions"],
    )
    return write_table(table, "predictions", home=home)


@pytest.fixture
def con(home, queries, labels, features, predictions):
    examples = write_table(join_examples(queries, labels, features).table, "examples", home=home)
    when = [datetime(2026, 11, day, 2, tzinfo=UTC) for day in (24, 23, 25)]
    action = ["promoted", "quiet", "refused"]
    values = {"champion_ece": [0.04, 0.03, None], "candidate_ece": [0.02, None, 0.5]}
    nights = filled("nights", 3, run_id=["b", "a", "c"], ended_at=when, action=action, **values)
    with connect(
        labels=write_table(labels, "labels", home=home),
        examples=examples,
        predictions=predictions,
        nights=write_table(nights, "nights", home=home),
    ) as connection:
        yield connection


def test_nights_are_told_in_order_by_the_head_that_serves_after_them(con):
    rows = run(con, "nights").to_pylist()
    assert [(r["night"], r["action"], r["ece"]) for r in rows] == [
        ("2026-11-23 02:00", "quiet", 0.03),
        ("2026-11-24 02:00", "promoted", 0.02),
        ("2026-11-25 02:00", "refused", None),
    ]


def test_grades(con):
    # medium: 4 right, 6 wrong; large: right on the first 8
    assert run(con, "grades").to_pylist() == [
        {"medium_grade": "CORRECT", "large_grade": "CORRECT", "n": 4, "share": 0.4},
        {"medium_grade": "INCORRECT", "large_grade": "CORRECT", "n": 4, "share": 0.4},
        {"medium_grade": "INCORRECT", "large_grade": "INCORRECT", "n": 2, "share": 0.2},
    ]


def test_policy_balance(con):
    rows = run(con, "policy_balance").to_pylist()
    assert sum(r["n"] for r in rows) == 10
    cells = {(r["topic"], r["split"]) for r in rows}
    for topic, split in cells:
        assert sum(r["share"] for r in rows if (r["topic"], r["split"]) == (topic, split)) == pytest.approx(1)
    assert rows[-1]["topic"] is None
    assert {r["true_policy"] for r in rows if r["topic"] == "a"} == {"Standard_Query", "Complex_Query"}


def test_router_accuracy(con):
    rows = run(con, "router_accuracy").to_pylist()
    standard = [r for r in rows if r["router_policy"] == "Standard_Query"]
    # six times Standard, of which four are right; four times Complex, of which two
    assert (sum(r["n"] for r in standard), sum(r["n_correct"] for r in standard)) == (6, 4)
    assert (sum(r["n"] for r in rows), sum(r["n_correct"] for r in rows)) == (10, 6)
    assert all(r["accuracy"] == r["n_correct"] / r["n"] for r in rows)


def test_cost_never_takes_an_unknown_price_for_nothing(con):
    medium, large, judge = run(con, "cost").to_pylist()
    # four at .50 and one that is known to be free; five unknown
    assert (medium["role"], medium["n"], medium["n_unpriced"], medium["cost_usd"]) == ("medium", 10, 5, 2.0)
    assert (medium["n_uncounted"], medium["tokens_in"], medium["tokens_out"]) == (1, 90, 10)
    assert (large["role"], large["n_unpriced"], large["cost_usd"], large["tokens_in"]) == ("large", 0, 20.0, None)
    assert (judge["role"], judge["n"], judge["n_unpriced"], judge["cost_usd"]) == ("judge", 10, 10, None)
    # six that asked a judge, two that needed none, two not fully counted
    assert (judge["n_uncounted"], judge["tokens_in"], judge["tokens_out"]) == (2, 4200, 280)


@pytest.mark.parametrize("n_bins", [1, 2, 10, 100])
def test_reliability_has_the_bins_of_the_science(con, n_bins):
    table = run(con, "reliability", **(RELIABILITY | {"n_bins": n_bins}))
    b = bin_index(np.array(P), n_bins=n_bins)
    assert table["bin"].to_pylist() == sorted(set(b.tolist()))
    assert table["n"].to_pylist() == [int((b == i).sum()) for i in table["bin"].to_pylist()]
    n, mean_p, accuracy = (table[c].to_numpy() for c in ("n", "mean_confidence", "accuracy"))
    assert (n * np.abs(mean_p - accuracy)).sum() / 10 == pytest.approx(ece(P, Y, n_bins=n_bins), abs=1e-12)


def test_edges_by_hand(con):
    bins = {r["bin"]: r["n"] for r in run(con, "reliability", **RELIABILITY).to_pylist()}
    # 0 and .05 in bin 0; .29 in 2; .3 in 3; .5 twice in 5; .7 in 7; .99 and both 1.0 in 9
    assert bins == {0: 2, 2: 1, 3: 1, 5: 2, 7: 1, 9: 3}


@pytest.mark.parametrize("n_bins", [3, 7, 10, 15, 100, 1000])
def test_every_edge_falls_in_its_own_bin(local_home, n_bins):
    edges = np.arange(n_bins + 1) / n_bins
    p = np.unique(np.clip(np.concatenate([edges, np.nextafter(edges, -1), np.nextafter(edges, 2)]), 0, 1))
    columns = {"query_id": [str(i) for i in range(len(p))], "method": ["m"] * len(p), "split": ["test"] * len(p)}
    table = pa.table({**columns, "p": p, "is_correct": [True] * len(p)}, schema=SCHEMAS["predictions"])
    with connect(predictions=write_table(table, "predictions", home=local_home)) as con:
        found = run(con, "reliability", method="m", split="test", n_bins=n_bins)
    assert found["n"].to_pylist() == np.bincount(bin_index(p, n_bins=n_bins)).tolist()


def test_params_must_be_exact(con):
    with pytest.raises(TypeError, match=r"reliability\.sql takes \['method', 'n_bins', 'split'\], got \['method'\]"):
        run(con, "reliability", method="sft")
    with pytest.raises(TypeError, match=r"grades\.sql takes"):
        run(con, "grades", n_bins=3)


def test_unknown_query_and_missing_artifact(con, local_home, queries):
    with pytest.raises(UnknownName, match="cost, coverage"):
        run(con, "profit")
    artifact = write_table(queries, "queries", home=local_home)
    with pytest.raises(ArtifactMissing):
        connect(queries=artifact.model_copy(update={"uri": artifact.uri + "x"}))


def test_brackets_and_stars_in_a_path_stand_for_themselves(tmp_path, labels):
    artifact = write_table(labels, "labels", home=Home(root=str(tmp_path / "h[1]*?")))
    assert read_table(artifact).num_rows == 10
    with connect(labels=artifact) as con:
        assert run(con, "cost").num_rows == 3
