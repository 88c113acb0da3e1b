"""Tiny real models, made here: Gemma's architecture, random weights, a tokenizer trained on the spot."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    Gemma3TextForSequenceClassification,
    PreTrainedTokenizerFast,
)

from routecal.calib.policy import POLICIES
from tests.object_store.s3_server import s3, s3_server

__all__ = ["s3", "s3_server"]

WIDTH = 16
WINDOW = 96


# Files of few tests that take minutes; a worker that met one last would leave the other idle.
SLOW = ("tests/tasks/test_gemma.py", "tests/flows/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow files first; all else in the order it has."""
    items.sort(key=lambda item: not item.nodeid.startswith(SLOW))


@pytest.fixture(autouse=True)
def _own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test has an artifact home of its own, no hub, and one thread: two pytest workers share two cores."""
    monkeypatch.setenv("ROUTECAL_HOME", str(tmp_path / "artifacts"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE with Gemma's special tokens, able to encode any text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<eos>", "<bos>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["What is the capital of France?", *(p.value for p in POLICIES)] * 5, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>", model_max_length=WINDOW
    )


def tiny_config(vocabulary: int, **changes: object) -> Gemma3TextConfig:
    """A two-layer Gemma 3 of width 16."""
    return Gemma3TextConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        sliding_window=32,
        max_position_embeddings=WINDOW,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
        dtype="float32",
        **changes,
    )


@pytest.fixture(scope="session")
def causal_checkpoint(tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal language model."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("causal")
    Gemma3ForCausalLM(tiny_config(len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def router_checkpoint(tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sequence classifier over the policies, its labels in another order than `POLICIES`."""
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("router")
    labels = dict(enumerate(p.value for p in reversed(POLICIES)))
    config = tiny_config(len(tokenizer), id2label=labels, label2id={v: k for k, v in labels.items()})
    Gemma3TextForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C as in a terminal: what a shell starts in the background ignores it, and Python then leaves it so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
