"""What prompts share is read once, and texts go on from a prompt: the numbers are those of reading every row whole."""

from pathlib import Path

import numpy as np
import pytest
from transformers import DynamicCache

from routecal.calib.router.frozen_router import FrozenRouter
from tests.calib.tiny_families import DECODERS, save_wide

QUERIES = ["Who built the oldest bridge?", "7", "What is the capital of France, and why? " * 3, "(old)", "built bridge"]
TEMPLATE = "What is the oldest capital of France? Who built the bridge, and why?\n{query}\nwhy?"


def pair(folder: Path, kind: str, template: str) -> tuple[FrozenRouter, FrozenRouter]:
    """A router that keeps what it has read, and the same one that keeps nothing."""
    found = []
    for keeps in (True, False):
        router = FrozenRouter(folder, template=template, layers=(1, -1), poolings=("last", "mean", "decision"))
        if not keeps:
            router.reader.body.stop_reusing()
        found.append(router)
    assert found[0].reader.body.reuses, kind
    return found[0], found[1]


@pytest.mark.parametrize("template", ["{query}", TEMPLATE])
@pytest.mark.parametrize("kind", ["causal", "classifier"])
@pytest.mark.parametrize("family", DECODERS)
def test_nothing_but_speed_changes(family: str, kind: str, template: str, tmp_path: Path) -> None:
    folder = save_wide(family, tmp_path, causal=kind == "causal")
    keeping, whole = pair(folder, kind, template)
    ours, theirs = keeping.read(QUERIES), whole.read(QUERIES)
    np.testing.assert_allclose(ours.logits, theirs.logits, atol=2e-4)
    for name, vectors in ours.blocks.items():
        np.testing.assert_allclose(vectors, theirs.blocks[name], atol=2e-4, err_msg=name)
    saves = kind == "causal" or template != "{query}"
    assert (ours.effort.n_read < theirs.effort.n_read) is saves
    assert ours.effort.n_tokens == theirs.effort.n_tokens == ours.n_tokens.sum()


def test_a_model_whose_keys_and_values_are_not_as_expected_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_wide("llama", tmp_path, causal=True)
    right = FrozenRouter(folder, template=TEMPLATE).read(QUERIES)
    monkeypatch.setattr(DynamicCache, "batch_repeat_interleave", lambda self, repeats: None)
    router = FrozenRouter(folder, template=TEMPLATE)
    assert not router.reader.body.reuses
    np.testing.assert_allclose(router.read(QUERIES).logits, right.logits, atol=2e-4)


def test_a_query_whose_first_token_grows_into_the_template_is_read_whole(tmp_path: Path) -> None:
    """Its tokens are not the template's and then its own."""
    router = FrozenRouter(save_wide("llama", tmp_path, causal=False), template=TEMPLATE)
    body, beginning = router.reader.body, router._prompts.beginning
    assert body.shared_tokens([*beginning, 7]) == len(beginning)
    assert body.shared_tokens([*beginning[:-1], 7, 7]) == body.shared_tokens(beginning) == 0
    rows = [[*beginning, 7], [*beginning[:-1], 9, 9, 9]]
    alone = [body.run([row], None).states[0, len(row) - 1] for row in rows]
    together = body.run(rows, None).states
    for i, row in enumerate(rows):
        np.testing.assert_allclose(alone[i].detach(), together[i, len(row) - 1].detach(), atol=1e-4)
