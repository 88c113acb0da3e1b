"""Views of statistics: files of earlier versions, and those of many nights."""

import pyarrow.parquet as pq

from routecal.storage.artifact import Artifact, write_table
from routecal.storage.layout import Home
from routecal.storage.query import connect
from routecal.storage.query_files import names
from tests.storage.eight_queries import predicted, rows


def test_columns_that_an_older_file_lacks_are_null(views, tmp_path):
    def older(kind, *lacking):
        path = str(tmp_path / f"{kind}.parquet")
        pq.write_table(pq.read_table(views[kind].uri).drop_columns(list(lacking)), path)
        return Artifact(uri=path, sha256="0" * 64, rows=7, kind=kind)

    judged = ("medium_votes", "large_votes", "judge_tokens_in", "judge_tokens_out", "judge_cost_usd")
    old = views | {"labels": older("labels", *judged), "queries": older("queries", "context", "received_at")}
    for name in names():
        rows(old, name)
    assert rows(old, "judge_disagreement") == []
    assert rows(old, "cost")[2]["n_unpriced"] == 7
    assert rows(old, "label_latency")[0]["n_unknown"] == 7
    assert len(rows(old, "duplicates")) == 2


def test_a_thousand_nights_are_one_view(stored):
    with connect(night_predictions={f"n{i:04}": stored["predictions"] for i in range(1000)}) as con:
        found = con.sql("SELECT COUNT(*), COUNT(DISTINCT run_id) FROM night_predictions").fetchall()
    assert found == [(7000, 1000)]


def test_rows_of_nights_keep_their_run_wherever_they_lie(home):
    odd = Home(root=f"{home.root}/[1]*") if "://" not in home.root else home
    tables = {f"n{i}": write_table(predicted([i / 10] * 6), "predictions", home=odd) for i in range(3)}
    found = rows({"night_predictions": tables}, "reliability_by_night")
    assert [(row["run_id"], round(row["mean_confidence"], 3)) for row in found] == [("n0", 0), ("n1", 0.1), ("n2", 0.2)]
