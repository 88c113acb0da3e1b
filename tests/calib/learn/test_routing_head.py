"""A routing head learns what can be learnt, and its checkpoint is an ordinary router."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from routecal.calib.checkpoint_errors import RouterUnusable
from routecal.calib.errors import OnePolicy
from routecal.calib.learn.routing_head import fit_routing_head, fit_saturated_routing_head
from routecal.calib.policy import POLICIES
from routecal.calib.router.checkpoint import attach_routing_head
from routecal.calib.router.frozen_router import FrozenRouter


def separable(n: int, *, classes: tuple[int, ...] = (0, 1, 2)) -> tuple[np.ndarray, np.ndarray]:
    """Hidden states (n, 6) that tell the policy by which of the first three is large; the last never varies."""
    rng = np.random.default_rng(0)
    policy = rng.choice(classes, n)
    hidden = rng.normal(0, 0.3, (n, 6)).astype(np.float32)
    hidden[np.arange(n), policy] += 2
    hidden[:, 5] = 4
    return hidden, policy.astype(np.int64)


def test_it_learns_what_is_there() -> None:
    hidden, policy = separable(300)
    weights = fit_routing_head(hidden[:200], policy[:200])
    assert weights.shape == (3, 6)
    assert ((hidden[200:] @ weights.T).argmax(1) == policy[200:]).mean() > 0.95


def test_noise_gives_a_head_near_the_base_rates() -> None:
    rng = np.random.default_rng(0)
    hidden = np.concatenate([rng.normal(size=(400, 5)), np.ones((400, 1))], axis=1).astype(np.float32)
    logits = hidden @ fit_routing_head(hidden, rng.choice(3, 400, p=[0.6, 0.3, 0.1])).T
    assert logits.std(axis=0).max() < 0.6  # nothing to learn: regularisation wins


def test_a_saturated_head_is_sure_of_noise_however_many_rows_there_are() -> None:
    rng = np.random.default_rng(0)
    hidden, policy = rng.normal(size=(2000, 50)).astype(np.float32), rng.choice(3, 2000)
    fresh = hidden[1000:] @ fit_saturated_routing_head(hidden[:1000], policy[:1000]).T
    assert softmax(fresh, axis=1).max(1).mean() > 0.9
    assert (fresh.argmax(1) == policy[1000:]).mean() < 0.4


@pytest.mark.parametrize("classes", [(0, 1), (0, 2), (1, 2)])
def test_a_policy_without_rows_is_never_chosen(classes: tuple[int, int]) -> None:
    hidden, policy = separable(200, classes=classes)
    chosen = (hidden @ fit_routing_head(hidden, policy).T).argmax(1)
    assert set(chosen) == set(classes)
    assert (chosen == policy).mean() > 0.95


def test_one_policy_only_is_nothing_to_route() -> None:
    hidden, policy = separable(50, classes=(1,))
    with pytest.raises(OnePolicy, match="all 50 training queries is Complex_Query"):
        fit_routing_head(hidden, policy)


def test_the_checkpoint_routes_by_its_weights(causal_checkpoint: Path, tmp_path: Path) -> None:
    weights = np.random.default_rng(0).normal(size=(3, 16)).astype(np.float32)
    attach_routing_head(causal_checkpoint, weights, tmp_path / "router")
    router = FrozenRouter(tmp_path / "router")
    out = router.read(["What is it?", "Why?"])
    assert router.kind == "sequence_classification"
    np.testing.assert_allclose(out.logits, out.hidden @ weights.T, atol=1e-4)
    assert router._model.config.id2label == dict(enumerate(p.value for p in POLICIES))


def test_an_architecture_without_a_score_layer(tmp_path: Path, tokenizer) -> None:
    from transformers import BertConfig, BertLMHeadModel

    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        is_decoder=True,
    )  # fmt: skip
    BertLMHeadModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(RouterUnusable, match="no linear score layer"):
        attach_routing_head(tmp_path, None, tmp_path / "router")
