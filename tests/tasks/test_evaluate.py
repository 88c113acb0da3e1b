"""Predictions of every method on every split, and their scores against calib called directly."""

import numpy as np
import pytest

from routecal.calib.baselines import usable
from routecal.calib.learn.cross_fit import CrossFitPlan, fold_of
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.metrics import brier, ece
from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.layout import Home
from routecal.tasks import evaluate
from routecal.tasks.evaluate import FINAL, RIVAL, predict, score
from routecal.tasks.load_examples import load_examples
from routecal.tasks.train import open_head, recalibrate_head, train_sft
from tests.tasks.made import Made


@pytest.fixture(scope="module")
def heads(made: Made, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTECAL_HOME", str(tmp_path_factory.mktemp("heads")))
        head = train_sft.fn(made.examples, made.features, CrossFitPlan(hidden_units=8), SFTConfig(epochs=2, lr=1e-2))
        return {"SFT": head, FINAL: recalibrate_head.fn(made.examples, made.features, head)}


@pytest.fixture(scope="module")
def predictions(made: Made, heads: dict[str, Artifact], tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTECAL_HOME", str(tmp_path_factory.mktemp("predictions")))
        return predict.fn(made.examples, made.features, heads)


def test_every_method_predicts_every_example_once(
    made: Made, heads: dict[str, Artifact], predictions: Artifact
) -> None:
    rows = read_table(predictions).to_pylist()
    data = load_examples(made.examples, made.features)
    methods = [*usable(data), *heads]
    assert {"entropy", "probe", "neighbours", "boosting"} <= set(methods)
    assert "verbal" not in methods  # a classifier cannot be asked
    assert [row["method"] for row in rows] == [name for name in methods for _ in range(200)]
    assert len({(row["method"], row["query_id"]) for row in rows}) == len(rows)
    for name, head in heads.items():
        said = np.array([row["p"] for row in rows if row["method"] == name])
        opened, test = open_head(head, made.features), data.split == "test"
        np.testing.assert_array_equal(said[test], opened.confidence(data.hidden, data.logits)[test])
        # A labelled query is told by the heads that left it out.
        fold = fold_of(data.share, opened.head.folds)
        left_out = opened.recalibrator(opened.head.out_of_fold(data.hidden, data.logits, fold))
        np.testing.assert_array_equal(said[~test], left_out[~test])
        assert (said[~test] != opened.confidence(data.hidden, data.logits)[~test]).any()
    assert [row["is_correct"] for row in rows[:200]] == data.y.astype(bool).tolist()
    assert [row["split"] for row in rows[:200]] == data.split.tolist()


def test_baselines_are_fitted_on_every_labelled_row_and_on_no_other(made: Made, predictions: Artifact) -> None:
    data = load_examples(made.examples, made.features)
    rows = read_table(predictions).to_pylist()
    said = {row["p"] for row in rows if row["method"] == "constant"}
    assert list(said) == [pytest.approx(data.only("train", "calibration", "validation").y.mean(), abs=1e-6)]


def test_scores_are_those_of_the_test_split(made: Made, heads: dict[str, Artifact], predictions: Artifact) -> None:
    found = score.fn(predictions, 0)
    data = load_examples(made.examples, made.features).only("test")
    assert list(found.methods) == [*usable(data), *heads]
    for name, head in heads.items():
        p = open_head(head, made.features).confidence(data.hidden, data.logits)
        summary = found.methods[name]
        assert summary.n == len(data)
        assert summary.level == 0.95
        assert summary.brier.value == pytest.approx(brier(p, data.y), abs=1e-12)
        assert summary.ece.value == pytest.approx(ece(p, data.y, n_bins=10), abs=1e-12)
    difference = found.methods[FINAL].brier.value - found.methods[RIVAL].brier.value
    assert found.brier_difference is not None
    assert found.brier_difference.value == pytest.approx(difference, abs=1e-12)
    assert score.fn(predictions, 0) == found


def test_few_labels_widen_the_intervals(made: Made, predictions: Artifact) -> None:
    table = read_table(predictions)
    few = set(table["query_id"].to_pylist()[:60])
    kept = table.filter([i in few for i in table["query_id"].to_pylist()])
    found = score.fn(write_table(kept, "predictions", home=Home.from_env()), 0)
    assert {summary.level for summary in found.methods.values()} == {0.99}


def test_without_the_two_methods_nothing_is_paired(made: Made, predictions: Artifact) -> None:
    table = read_table(predictions)
    alone = table.filter([name == "SFT" for name in table["method"].to_pylist()])
    assert score.fn(write_table(alone, "predictions", home=Home.from_env()), 0).brier_difference is None
    p, y = evaluate.test_rows(table, "SFT")
    assert len(p) == len(y) == len(load_examples(made.examples, made.features).only("test"))
