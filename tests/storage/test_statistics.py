"""Every statistic of `storage/sql` on eight queries, by hand, and on random rows against calib."""

import re

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest

from routecal.calib.metrics.binned import ece
from routecal.storage.artifact import write_table
from routecal.storage.query import connect, run
from routecal.storage.query_files import header, line, load_sql, names
from routecal.storage.schemas import SCHEMAS
from tests.storage.conftest import filled
from tests.storage.eight_queries import IDS, POLICIES, SPLITS, VALUES, day, rows, some


def test_every_statistic_has_a_title_and_reads_what_its_header_says():
    kinds = (*SCHEMAS, "night_examples", "night_predictions")
    for name in names():
        assert line(name, "title"), f"{name}.sql has no line -- title:"
        body = re.sub(r"--.*", "", load_sql(name))
        tables = set(re.findall(rf"\b(?:FROM|JOIN) ({'|'.join(kinds)})\b", body)) - set(
            re.findall(r"(\w+) AS \(", body)
        )
        assert tables == {*header(name, "reads"), *header(name, "optional")}, name


@pytest.mark.parametrize("name", names())
def test_the_header_is_true(views, name):
    body = re.sub(r"--.*", "", load_sql(name))
    assert set(header(name, "params")) == set(re.findall(r"\$(\w+)", body))
    with connect(**views) as con:
        table = run(con, name, **{param: VALUES[param] for param in header(name, "params")})
    assert table.column_names == list(header(name, "columns"))
    assert header(name, "grain")
    keys = [tuple(row.values()) for row in table.select(header(name, "grain")).to_pylist()]
    assert len(set(keys)) == len(keys) > 0


@pytest.mark.parametrize("name", names())
def test_nothing_stored_is_no_row(name):
    empty = dict.fromkeys((*header(name, "reads"), *header(name, "optional")))
    found = rows(empty, name)
    assert not [row for row in found if any(isinstance(v, int) and v for v in row.values())]


def test_ece_of_one_method(views):
    # q3 alone is below .5: gap .25; above, .8 + .6 + .95 + .85 = 3.2 and three are right: .2
    (sft,) = rows(views, "ece")
    assert (sft["n"], sft["accuracy"]) == (5, 0.6)
    assert (sft["ece"], sft["mean_confidence"]) == pytest.approx((0.45 / 5, 3.45 / 5))
    interval = binomtest(3, 5).proportion_ci(method="wilson")
    assert (sft["accuracy_low"], sft["accuracy_high"]) == pytest.approx(tuple(interval))
    (rl,) = rows(views, "ece", method="rl")
    assert (rl["n"], rl["ece"]) == (1, pytest.approx(0.9))
    assert rows(views, "ece", method="rl", split="train") == []


@pytest.mark.parametrize(
    ("one", "other"),
    [("A\tb", "a b"), ("a\u00a0 b", "A B."), ("a -- b?!", "a, b"), (" «Ça va» ? ", "ça va"), ("e-mail", "e mail")],
)
def test_levelled_texts(one, other):
    with connect() as con:
        found = con.execute("SELECT levelled($one), levelled($other)", {"one": one, "other": other}).fetchone()
    assert found[0] == found[1]


def test_symbols_accents_and_numbers_tell_texts_apart():
    texts = ["c", "c++", "é", "e", "5", "1 5", "15"]
    with connect() as con:
        found = con.execute("SELECT [levelled(text) FOR text IN $texts]", {"texts": texts}).fetchone()
    assert found[0] == texts


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 1000), (7, 9), (999_999, 1_000_000)])
def test_intervals_are_wilson_s(k, n):
    with connect() as con:
        found = con.execute("SELECT wilson_low($k, $n), wilson_high($k, $n)", {"k": k, "n": n}).fetchone()
    assert found == pytest.approx(tuple(binomtest(k, n).proportion_ci(method="wilson")), abs=1e-12)


def test_reliability_by_slice(views):
    found = rows(views, "reliability_by_slice")
    assert some(found, "part", "slice", "bin", "n") == [
        ("router policy", "Complex_Query", 1, 2),
        ("router policy", "Standard_Query", 0, 1),
        ("router policy", "Standard_Query", 1, 2),
        ("topic", "a", 1, 2),
        ("topic", "b", 0, 1),
        ("topic", "b", 1, 1),
        ("topic", None, 1, 1),
    ]
    # Complex: 1.45 for one right of two. Standard: .25 for none, 1.75 for two. a: 1.4 for one. b: .25, .05. None: .15.
    gaps = [0.45 / 2, 0.5 / 3, 0.5 / 3, 0.4 / 2, 0.3 / 2, 0.3 / 2, 0.15]
    assert [row["slice_ece"] for row in found] == pytest.approx(gaps)
    assert found[2]["mean_confidence"] == pytest.approx(0.875)


def test_without_topics_there_is_no_part_of_topics(views, local_home):
    bare = filled("examples", 6, query_id=IDS[:6], router_policy=POLICIES, split=SPLITS, logits=[[0.0]] * 6)
    views = views | {"examples": write_table(bare, "examples", home=local_home)}
    assert {row["part"] for row in rows(views, "reliability_by_slice")} == {"router policy"}
    assert {row["part"] for row in rows(views, "drift")} == {"all", "router policy"}


def test_reliability_by_night(views):
    one, two = rows(views, "reliability_by_night")
    assert (one["run_id"], one["n"], one["ece"]) == ("n1", 5, pytest.approx(0.09))
    # five times .5 in one bin, three right of five
    assert (two["run_id"], two["n"], two["ece"], two["accuracy"]) == ("n2", 5, pytest.approx(0.1), 0.6)


def test_coverage(views):
    columns = ("topic", "split", "n", "n_features", "n_labels", "n_graded", "n_priced", "n_predicted")
    assert some(rows(views, "coverage"), *columns) == [
        ("a", "test", 2, 2, 2, 2, 0, 2),
        ("a", "train", 1, 1, 1, 1, 1, 1),
        ("a", None, 1, 1, 0, 0, 0, 0),
        ("b", "test", 2, 2, 2, 1, 0, 2),
        ("b", None, 1, 0, 1, 1, 0, 0),
        (None, "test", 1, 1, 1, 1, 0, 1),
    ]
    only = dict.fromkeys(("labels", "features", "examples", "predictions")) | {"queries": views["queries"]}
    assert some(rows(only, "coverage"), *columns[:4]) == [("a", None, 4, 0), ("b", None, 3, 0), (None, None, 1, 0)]


def test_judge_disagreement(views):
    columns = ("role", "model", "topic", "n", "n_judged_twice", "n_disagree", "n_without_grade")
    found = rows(views, "judge_disagreement")
    # q0 agrees, q1 not, q2's first judge had nothing to say and then agreed; q3's came round; q4 had one judge
    assert some(found, *columns) == [
        ("medium", "mid", "a", 3, 3, 1, 1),
        ("medium", "mid", "b", 2, 1, 0, 0),
        ("large", "big", "a", 1, 1, 1, 0),
        ("large", "big", None, 1, 0, 0, 1),
    ]
    assert [row["share"] for row in found] == [pytest.approx(1 / 3), 0.0, 1.0, None]


def test_label_latency(views):
    # 72 hours four times, 24, and -24; q6 has no time of arrival
    (found,) = rows(views, "label_latency")
    assert some([found], "oracle", "n", "n_unknown", "n_negative", "median_h", "max_h") == [("api", 7, 1, 1, 72, 72)]
    assert found["p90_h"] == found["p99_h"] == 72


def test_duplicates(views, local_home):
    columns = ("query_id", "query", "n", "n_labels", "n_policies", "n_groups")
    assert some(rows(views, "duplicates"), *columns) == [
        ("q0", "What's up?", 2, 2, 1, 2),
        ("q3", "is C hard", 2, 2, 2, 2),
    ]
    other = filled("queries", 3, query_id=list("abc"), query=["Who?"] * 3, context=["x", "x", "y"])
    found = rows({"queries": write_table(other, "queries", home=local_home), "labels": None}, "duplicates")
    assert some(found, *columns) == [("a", "Who?", 2, 0, 0, 1)]


def test_leakage(views):
    columns = ("query_id", "n", "n_test", "splits", "n_groups")
    assert some(rows(views, "leakage"), *columns) == [("q0", 2, 1, "test, train", 1)]


def test_drift(views):
    found = {(row["part"], row["slice"]): row for row in rows(views, "drift")}
    columns = ("n_before", "n_now", "change", "accuracy_before", "accuracy_now")
    # the middle of days 1 and 3 is day 2
    assert some(found.values(), *columns) == [
        (4, 2, 0.0, 0.5, 1.0),
        (1, 1, 0.25, 0.0, 1.0),
        (3, 1, -0.25, 2 / 3, 1.0),
        (3, 0, -0.75, 2 / 3, None),
        (1, 1, 0.25, 0.0, 1.0),
        (0, 1, 0.5, None, 1.0),
    ]
    whole = found["all", "all"]
    assert (whole["confidence_before"], whole["confidence_now"]) == pytest.approx((2.55 / 4, 1.8 / 2))
    # Newcombe's interval of 1/2 - 3/4
    (l0, u0), (l1, u1) = (binomtest(k, n).proportion_ci(method="wilson") for k, n in ((3, 4), (1, 2)))
    ends = (-0.25 - ((0.5 - l1) ** 2 + (u0 - 0.75) ** 2) ** 0.5, -0.25 + ((u1 - 0.5) ** 2 + (0.75 - l0) ** 2) ** 0.5)
    standard = found["router policy", "Standard_Query"]
    assert (standard["change_low"], standard["change_high"]) == pytest.approx(ends)
    # of day 1 nothing is before day 1
    assert rows(views, "drift", since=day(1))[0]["n_before"] == 0


def test_drift_of_nights_holds_the_newest_against_all_before(views, local_home):
    new = filled("examples", 3, query_id=["x", "y", "z"], topic=["a", "b", "c"], split=["test"] * 3, logits=[[0.0]] * 3)
    nights = {"n2": write_table(new, "examples", home=local_home), "n1": views["examples"]}
    found = rows(views | {"examples": None, "night_examples": nights}, "drift")
    assert some(found, "slice", "n_before", "n_now")[0] == ("all", 6, 3)
    assert ("c", 0, 1) in some(found, "slice", "n_before", "n_now")


@pytest.mark.parametrize("n_bins", [1, 2, 7, 10, 15, 100, 1000])
@pytest.mark.parametrize("kind", ["random", "edges"])
def test_ece_in_sql_is_that_of_calib_and_slices_sum_to_the_whole(local_home, kind, n_bins):
    rng = np.random.default_rng(n_bins)
    edges = np.arange(n_bins + 1) / n_bins
    near = np.clip(np.concatenate([edges, np.nextafter(edges, -1), np.nextafter(edges, 2)]), 0, 1)
    p = rng.beta(4, 2, 5000) if kind == "random" else rng.choice(near, 5000)
    n, y = len(p), rng.random(len(p)) < p
    ids, split = [f"{i:032x}" for i in range(n)], rng.choice(["test", "train"], n, p=[0.8, 0.2]).tolist()
    columns = {"query_id": ids, "method": ["sft"] * n, "split": split, "p": p, "is_correct": y}
    topics = [str(t) if t else None for t in rng.integers(0, 9, n)]
    policies = [POLICIES[i] for i in rng.integers(0, 4, n)]
    examples = filled(
        "examples", n, query_id=ids, topic=topics, router_policy=policies, split=split, logits=[[0.0]] * n
    )
    views = {
        "predictions": write_table(pa.table(columns, schema=SCHEMAS["predictions"]), "predictions", home=local_home),
        "examples": write_table(examples, "examples", home=local_home),
    }
    chosen = np.array(split) == "test"
    (found,) = rows(views, "ece", n_bins=n_bins)
    assert found["n"] == chosen.sum()
    assert found["ece"] == pytest.approx(ece(p[chosen], y[chosen], n_bins=n_bins), abs=1e-12)
    whole = rows(views, "reliability", n_bins=n_bins)
    sliced = rows(views, "reliability_by_slice", n_bins=n_bins)
    for part in ("router policy", "topic"):
        for row in whole:
            cells = [cell for cell in sliced if (cell["part"], cell["bin"]) == (part, row["bin"])]
            assert sum(cell["n"] for cell in cells) == row["n"]
            for column in ("mean_confidence", "accuracy"):
                total = sum(cell["n"] * cell[column] for cell in cells)
                assert total == pytest.approx(row["n"] * row[column], abs=1e-9)
