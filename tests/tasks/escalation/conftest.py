"""A head, its predictions, examples that the router sends both ways, and gains as an outcome head would tell them."""

import numpy as np
import pyarrow as pa
import pytest

from routecal.calib.learn.cross_fit import CrossFitPlan
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.policy import POLICIES
from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.layout import Home
from routecal.tasks.evaluate import FINAL, predict
from routecal.tasks.train import train_sft
from tests.tasks.escalation.measured import changed
from tests.tasks.made import Made


@pytest.fixture(scope="module")
def head(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTECAL_HOME", str(tmp_path_factory.mktemp("head")))
        return train_sft.fn(made.examples, made.features, CrossFitPlan(hidden_units=8), SFTConfig(epochs=5, lr=1e-2))


@pytest.fixture(scope="module")
def predictions(made: Made, head: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTECAL_HOME", str(tmp_path_factory.mktemp("predictions")))
        return predict.fn(made.examples, made.features, {FINAL: head})


@pytest.fixture(scope="module")
def examples(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """As if the router, which sends everything to the large model, sent some of it elsewhere."""
    policies: list[object] = [POLICIES[1 if i % 4 == 0 else 2 if i % 7 == 0 else 0].value for i in range(200)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTECAL_HOME", str(tmp_path_factory.mktemp("examples")))
        return changed(made.examples, router_policy=policies)


@pytest.fixture(scope="module")
def gains(examples: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """As if an outcome head told most of what the large model gains."""
    rows, rng = read_table(examples).to_pylist(), np.random.default_rng(0)
    right = np.array([[row[f"{model}_grade"] == "CORRECT" for row in rows] for model in ("medium", "large")], float)
    told = np.clip(0.5 + 0.3 * (right - 0.5) + rng.normal(0, 0.05, right.shape), 0, 1)
    columns = {name: [row[name] for row in rows] for name in ("query_id", "split")}
    columns |= {"gain": told[1] - told[0], "medium_right": told[0], "large_right": told[1], "confidence": told[0]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTECAL_HOME", str(tmp_path_factory.mktemp("gains")))
        return write_table(pa.table(columns), "outcome_predictions", home=Home.from_env())
