"""What reading took is counted as torch counts it."""

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from routecal.calib.policy import POLICIES
from routecal.calib.router.effort import Effort, Operations, matrix_ceiling
from routecal.calib.router.frozen_router import FrozenRouter
from tests.calib.tiny_families import FAMILIES, save


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in ("deberta", "deberta-v2", "bart")])
def test_operations_are_those_that_torch_counts(family: str, tmp_path: Path) -> None:
    """Of attention in plain products, which multiply with what is masked, too; a pooler sees one token."""
    whole = FrozenRouter(save(family, tmp_path))._model
    whole.set_attn_implementation("eager")
    model = whole.base_model
    ids = torch.tensor([[4, 5, 6, 7, 8, 9, 10, 11, 12]])
    with torch.inference_mode(), FlopCounterMode(display=False) as counted:
        model(input_ids=ids)
    ours = Operations(model, causal=False).of(ids.shape[1])
    assert ours == pytest.approx(counted.get_total_flops(), rel=0.01)


def test_what_was_read_before_is_not_counted_again() -> None:
    config = type("Config", (), {"num_attention_heads": 2, "hidden_size": 8, "num_hidden_layers": 3, "head_dim": None})
    model = torch.nn.Module()
    model.base_model = torch.nn.Linear(8, 8)
    model.config = type("Outer", (), {"get_text_config": lambda self: config()})()
    operations = Operations(model, causal=True)
    assert operations.of(10) == 2 * 64 * 10 + 4 * 8 * 3 * 0.5 * 100
    assert operations.of(6, 4) == operations.of(10) - operations.of(4)


def test_sums_and_words() -> None:
    one, other = Effort(10, 8, 16, 1e9, 0.5), Effort(30, 30, 40, 3e9, 1.5)
    assert one + other == Effort(40, 38, 56, 4e9, 2.0)
    assert (one + other).sentence(8e9) == "20 tokens/s, 32 % of them padding, 25 % of the matrix ceiling (8 GFLOP/s)"
    assert Effort().sentence(8e9) == "nothing was read"


def test_the_ceiling_is_above_what_a_small_product_reaches() -> None:
    assert matrix_ceiling(torch.device("cpu"), torch.float32) > 1e8


def test_a_router_that_says_the_policy_computes_its_names_without_their_last_tokens(causal_checkpoint: Path) -> None:
    router = FrozenRouter(causal_checkpoint)
    read = router.read(["Who built it?", "Who built the oldest bridge of them all, and why?"])
    names = [len(router.tokenizer(p.value, add_special_tokens=False)["input_ids"]) - 1 for p in POLICIES]
    assert read.effort.n_read == read.n_tokens.sum() + 2 * sum(names)
    router.reader.body.stop_reusing()
    whole = router.read(["Who built it?", "Who built the oldest bridge of them all, and why?"])
    assert whole.effort.n_read == 3 * read.n_tokens.sum() + 2 * sum(names)
    assert whole.effort.flops > 2 * read.effort.flops


def test_padding_is_what_batches_add(router_checkpoint: Path) -> None:
    router = FrozenRouter(router_checkpoint)
    alike = router.read(["Who built it?"] * 5).effort
    mixed = router.read(["Who built it?", "Who built the oldest bridge of them all, and why?"]).effort
    assert alike.n_padded == alike.n_read == alike.n_tokens
    assert mixed.n_padded > mixed.n_read == mixed.n_tokens
    assert mixed.seconds > 0
