"""Training a router, and keeping its training queries away from the head."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from routecal.calib.checkpoint_errors import CheckpointMissing
from routecal.calib.policy import POLICIES
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.calib.settings import Reading
from routecal.storage.artifact import iter_table, read_table
from routecal.storage.folder_artifact import folder_at, local_folder
from routecal.storage.query_identity import rough_id
from routecal.tasks.errors import NothingUnseen
from routecal.tasks.make_router import TRAINED_ON, refer_checkpoint, train_router, trained_on, unseen_by
from tests.tasks.made import store_labels, store_queries, texts


@pytest.fixture
def router(router_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(router_checkpoint, tmp_path / "router"))


@pytest.mark.parametrize("size", [3, 1000])
def test_exactly_the_training_queries_are_left_out(
    router: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("routecal.tasks.make_router.iter_table", partial(iter_table, size=size))
    queries = store_queries(texts(20))
    ids = read_table(queries)["query_id"].to_pylist()
    (router / TRAINED_ON).write_text("\n".join([*ids[5:12], "0123456789abcdef"]) + "\n")
    left = unseen_by(folder_at(str(router), "routers"), queries)
    assert read_table(left)["query_id"].to_pylist() == ids[:5] + ids[12:]
    assert "7 of 20 queries trained the router" in caplog.text


def test_ids_of_0_1_are_recognised_and_so_are_variants_of_the_text(router: Path) -> None:
    asked = ["Who  is it?", "WHO is it?", "Who is it?\u200b", "What is it?"]
    (router / TRAINED_ON).write_text(rough_id("who is IT?") + "\n")
    left = unseen_by(folder_at(str(router), "routers"), store_queries(asked, context=["a", "b", None, None]))
    assert read_table(left)["query"].to_pylist() == asked[2:]
    assert trained_on(folder_at(str(router), "routers")) == {rough_id("Who is it?")}


def test_a_router_that_says_nothing_or_shares_nothing_drops_nothing(router: Path) -> None:
    queries = store_queries(texts(5))
    assert unseen_by(folder_at(str(router), "routers"), queries) == queries
    (router / TRAINED_ON).write_text("0123456789abcdef\n")
    assert unseen_by(folder_at(str(router), "routers"), queries) == queries


def test_when_every_query_trained_the_router_nothing_is_left_to_calibrate_on(router: Path) -> None:
    queries = store_queries(texts(5))
    (router / TRAINED_ON).write_text("\n".join(read_table(queries)["query_id"].to_pylist()) + "\n")
    with pytest.raises(NothingUnseen, match="all 5 queries trained the router"):
        unseen_by(folder_at(str(router), "routers"), queries)


def test_a_trained_router_is_an_ordinary_checkpoint(causal_checkpoint: Path) -> None:
    asked = texts(90)
    # decided by what the text says, so that there is something to learn
    policies = [POLICIES[0 if "odd" in text else 1 + i % 2].value for i, text in enumerate(asked)]
    queries, labels = store_queries(asked), store_labels(asked[::-1], policies[::-1])
    base = refer_checkpoint(str(causal_checkpoint), kind="models")
    trained = train_router.fn(base, queries, labels, Reading(), 0)
    folder = local_folder(trained)
    out = FrozenRouter(folder).read(asked)
    want = np.array([[p.value for p in POLICIES].index(name) for name in policies])
    # 45 of 90 are Standard: more than always saying so would get
    assert (out.policy == want).mean() > 0.6
    np.testing.assert_allclose(out.hidden, FrozenRouter(causal_checkpoint).read(asked).hidden, atol=1e-4)
    assert (folder / TRAINED_ON).read_text().split() == read_table(labels)["query_id"].to_pylist()
    assert train_router.fn(base, queries, labels, Reading(), 0) == trained


def test_no_checkpoint_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMissing, match=r"config\.json"):
        refer_checkpoint(str(tmp_path))


def test_a_base_model_without_weights(causal_checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(causal_checkpoint, tmp_path / "base", ignore=shutil.ignore_patterns("*.safetensors"))
    asked = texts(4)
    labels = store_labels(asked, ["Standard_Query", "Complex_Query"] * 2)
    with pytest.raises(CheckpointMissing, match="complete"):
        train_router.fn(refer_checkpoint(str(tmp_path / "base")), store_queries(asked), labels, Reading(), 0)
