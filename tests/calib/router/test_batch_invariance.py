"""A router is tried when it is opened, and a family whose batches it would misread is refused."""

from pathlib import Path

import pytest
import torch
from transformers import GraniteConfig, GraniteForCausalLM

from routecal.calib.checkpoint_errors import CheckpointUnusable, RouterUnusable
from routecal.calib.router import classifier
from routecal.calib.router.batch_invariance import compare
from routecal.calib.router.frozen_router import FrozenRouter
from tests.calib.tiny_families import IDS, SIZES, save, tokenizer_of


def test_logits_that_are_scaled_in_a_way_of_their_own(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tokenizer = tokenizer_of("llama")
    config = GraniteConfig(vocab_size=len(tokenizer), **SIZES, **IDS, logits_scaling=8.0, initializer_range=1.0)
    GraniteForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(
        RouterUnusable, match=r"granite gives other logits in a padded batch than alone .*give a decoder"
    ):
        FrozenRouter(tmp_path)


def test_another_token_than_the_head_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save("llama", tmp_path)
    FrozenRouter(tmp_path)
    monkeypatch.setattr(classifier.Classifier, "_place", lambda self, prompt: 0)
    with pytest.raises(RouterUnusable, match="llama gives other logits in a padded batch"):
        FrozenRouter(tmp_path)


def test_what_a_model_raises_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: object) -> None:
        raise IndexError("index out of range in self\nand more")

    save("llama", tmp_path)
    monkeypatch.setattr(classifier.Classifier, "own", fails)
    with pytest.raises(RouterUnusable, match=r"llama cannot be read as routecal reads \(index out of range in self\)"):
        FrozenRouter(tmp_path)


def test_rounding_is_no_difference() -> None:
    logits = torch.tensor([[10.0, -20.0, 5.0]])
    compare("here", "llama", logits, logits * (1 + 2**-8), torch.bfloat16)
    compare("here", "llama", logits, logits * (1 + 1e-6), torch.float32)
    with pytest.raises(RouterUnusable, match="gives other logits in a padded batch"):
        compare("here", "llama", logits, logits * (1 + 2**-8), torch.float32)
    with pytest.raises(RouterUnusable, match="gives other logits in a padded batch"):
        compare("here", "llama", logits, logits * float("nan"), torch.bfloat16)
    with pytest.raises(CheckpointUnusable, match="NaN or infinite on ordinary text"):
        compare("here", "llama", logits * float("nan"), logits, torch.bfloat16)
