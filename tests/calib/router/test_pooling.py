"""Blocks of hidden states, against transformers called row by row with all its hidden states."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
)

from routecal.calib.checkpoint_errors import RouterUnusable
from routecal.calib.errors import UnknownName
from routecal.calib.policy import POLICIES
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.calib.router.pooling import blocks_of
from routecal.calib.router.speaker import QUESTION

QUERIES = ["What is the capital of France?", "Hi", "Why is the sky blue, and why are sunsets red?", "2+2?", "a"]
ALL = {"layers": [1, 2], "poolings": ["last", "mean", "decision"]}


def unit(states: torch.Tensor) -> torch.Tensor:
    """Divided by its root mean square."""
    return states / states.square().mean(-1, keepdim=True).sqrt()


def expected(states: tuple[torch.Tensor, ...], prompt: int, decision: int) -> dict[str, NDArray[np.float32]]:
    """The blocks of one row, from its hidden states after the embedding and both layers; token 0 opens every text."""
    found = {}
    for layer, own in ((1, unit(states[1][0])), (2, states[2][0])):
        counted = own[:prompt] if prompt == 1 else own[1:prompt]
        for pooling, vector in (("last", own[prompt - 1]), ("mean", counted.mean(0)), ("decision", own[decision])):
            found[f"hidden_L{layer}_{pooling}"] = vector.numpy()
    found["hidden"] = found.pop("hidden_L2_last")
    return found


def test_blocks_of_a_classifier(router_checkpoint: Path) -> None:
    router = FrozenRouter(router_checkpoint, **ALL)
    # what decides is the last token
    assert router.blocks == ("hidden", "hidden_L1_last", "hidden_L1_mean", "hidden_L2_mean")
    out = router.read(QUERIES)
    np.testing.assert_array_equal(out.hidden, out.blocks["hidden"])
    model = AutoModelForSequenceClassification.from_pretrained(router_checkpoint).eval()
    tokenizer = AutoTokenizer.from_pretrained(router_checkpoint)
    for i, query in enumerate(QUERIES):
        ids = tokenizer(query, return_tensors="pt")
        with torch.inference_mode():
            states = model(**ids, output_hidden_states=True).hidden_states
        n = ids["input_ids"].shape[1]
        want = expected(states, n, n - 1)
        for name in router.blocks:
            np.testing.assert_allclose(out.blocks[name][i], want[name], atol=1e-5, err_msg=name)


def test_blocks_of_a_causal_router(causal_checkpoint: Path) -> None:
    router = FrozenRouter(causal_checkpoint, **ALL)
    assert len(router.blocks) == 6
    out = router.read(QUERIES)
    model = AutoModelForCausalLM.from_pretrained(causal_checkpoint).eval()
    tokenizer = AutoTokenizer.from_pretrained(causal_checkpoint)
    for i, query in enumerate(QUERIES):
        prompt = tokenizer(query)["input_ids"]
        name = tokenizer(POLICIES[out.policy[i]].value, add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            states = model(torch.tensor([prompt + name]), output_hidden_states=True).hidden_states
        # the decision is the first token of the name that was chosen, the one after the prompt
        for block, vector in expected(states, len(prompt), len(prompt)).items():
            np.testing.assert_allclose(out.blocks[block][i], vector, atol=1e-5, err_msg=block)
    assert len(set(out.policy.tolist())) > 1, "one policy alone would not show whose name is taken"


def test_what_else_is_read_changes_no_number(causal_checkpoint: Path) -> None:
    plain, full = FrozenRouter(causal_checkpoint), FrozenRouter(causal_checkpoint, **ALL, verbal=True)
    one, other = plain.read(QUERIES), full.read(QUERIES)
    np.testing.assert_allclose(one.logits, other.logits, atol=1e-4)
    np.testing.assert_allclose(one.hidden, other.hidden, atol=1e-5)
    assert one.verbal is None
    assert list(one.blocks) == ["hidden"]


def test_the_router_s_word_on_its_decision(causal_checkpoint: Path) -> None:
    out = FrozenRouter(causal_checkpoint, verbal=True).read(QUERIES)
    model = AutoModelForCausalLM.from_pretrained(causal_checkpoint).eval()
    tokenizer = AutoTokenizer.from_pretrained(causal_checkpoint)

    def log_p(prompt: list[int], text: str) -> float:
        """Sum over the text's tokens of their log-probability after the prompt."""
        said = tokenizer(text, add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            row = model(torch.tensor([prompt + said])).logits[0].log_softmax(-1)
        return sum(row[len(prompt) - 1 + t, token].item() for t, token in enumerate(said))

    assert out.verbal is not None
    for i, query in enumerate(QUERIES):
        parts = (
            tokenizer(query)["input_ids"],
            *(
                tokenizer(text, add_special_tokens=False)["input_ids"]
                for text in (POLICIES[out.policy[i]].value, QUESTION)
            ),
        )
        true, false = (log_p([t for part in parts for t in part], text) for text in (" True", " False"))
        assert out.verbal[i] == pytest.approx(np.exp(true) / (np.exp(true) + np.exp(false)), rel=1e-3)


def test_a_long_prompt_leaves_room_for_the_question(causal_checkpoint: Path) -> None:
    out = FrozenRouter(causal_checkpoint, verbal=True).read(["word " * 500 + "end?"])
    assert out.verbal is not None
    assert 0 < out.verbal[0] < 1


@pytest.fixture
def bidirectional_checkpoint(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Path:
    """A classifier whose tokens look both ways, and whose head reads the first one."""
    torch.manual_seed(2)
    labels = dict(enumerate(p.value for p in POLICIES))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=96,
        pad_token_id=0,
        id2label=labels,
        label2id={v: k for k, v in labels.items()},
    )
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    return tmp_path


def test_blocks_of_a_bidirectional_classifier(bidirectional_checkpoint: Path) -> None:
    out = FrozenRouter(bidirectional_checkpoint, **ALL).read(QUERIES)
    model = AutoModelForSequenceClassification.from_pretrained(bidirectional_checkpoint).eval()
    tokenizer = AutoTokenizer.from_pretrained(bidirectional_checkpoint)
    for i, query in enumerate(QUERIES):
        ids = tokenizer(query, return_tensors="pt")
        with torch.inference_mode():
            row = model(**ids, output_hidden_states=True)
        np.testing.assert_allclose(out.logits[i], row.logits[0].numpy(), atol=1e-5)
        # what decides is the first token, in every layer
        want = expected(row.hidden_states, ids["input_ids"].shape[1], 0)
        want |= {"hidden": want.pop("hidden_L2_decision"), "hidden_L1_last": want.pop("hidden_L1_decision")}
        assert want.keys() == out.blocks.keys()
        for name, vector in want.items():
            np.testing.assert_allclose(out.blocks[name][i], vector, atol=1e-5, err_msg=name)


def test_layers_count_from_one_and_from_the_end() -> None:
    for layers in ([1, 18], [-18, -1]):
        assert [(b.layer, b.pooling) for b in blocks_of(layers, ["mean"], 18)] == [
            (18, "last"),
            (1, "mean"),
            (18, "mean"),
        ]
    assert [b.name for b in blocks_of([-1], ["last"], 18)] == ["hidden"]


@pytest.mark.parametrize("layer", [0, 3, -3])
def test_no_such_layer(router_checkpoint: Path, layer: int) -> None:
    with pytest.raises(
        UnknownName, match=f"'{layer}' is not a known layer of this router; choose one of -1 … -2, 1 … 2"
    ):
        FrozenRouter(router_checkpoint, layers=[layer])


def test_no_such_pooling(router_checkpoint: Path) -> None:
    with pytest.raises(UnknownName, match="'max' is not a known pooling; choose one of decision, last, mean"):
        FrozenRouter(router_checkpoint, poolings=["max"])


def test_a_classifier_is_asked_nothing(router_checkpoint: Path) -> None:
    with pytest.raises(RouterUnusable, match="a classifier cannot state a verbal confidence"):
        FrozenRouter(router_checkpoint, verbal=True)


def test_a_window_without_room_for_a_prompt(causal_checkpoint: Path) -> None:
    with pytest.raises(RouterUnusable, match=r"its window of 8 tokens must hold \d+ beside the prompt"):
        FrozenRouter(causal_checkpoint, max_tokens=8, verbal=True)


def test_a_pad_token_that_ends_a_text_is_passed_over_as_the_architecture_does(router_checkpoint: Path) -> None:
    out = FrozenRouter(router_checkpoint).read(["a<pad>", "a", "<pad>a", "a longer question, so that rows are padded?"])
    np.testing.assert_allclose(out.logits[0], out.logits[1], atol=1e-5)
    np.testing.assert_allclose(out.hidden[0], out.hidden[1], atol=1e-5)
    assert np.abs(out.logits[2] - out.logits[1]).max() > 1e-4


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_reading_without_a_mask_is_reading_with_one(router_checkpoint: Path, dtype: str) -> None:
    router = FrozenRouter(router_checkpoint, dtype=dtype, **ALL)
    out = router.read(QUERIES)
    computed_in = getattr(torch, router.schema["dtype"])
    model = AutoModelForSequenceClassification.from_pretrained(router_checkpoint, dtype=computed_in).eval()
    tokenizer = AutoTokenizer.from_pretrained(router_checkpoint, padding_side="right")
    ids = tokenizer(QUERIES, return_tensors="pt", padding=True)
    with torch.inference_mode():
        row = model(**ids, output_hidden_states=True)
    columns = [{v: k for k, v in model.config.id2label.items()}[p.value] for p in POLICIES]
    # the bars are a few roundings of values near 1
    bar = 8 * torch.finfo(computed_in).eps
    np.testing.assert_allclose(out.logits, row.logits[:, columns].float().numpy(), atol=bar)
    for i, n in enumerate(ids["attention_mask"].sum(1).tolist()):
        states = tuple(layer[i : i + 1, :n].float() for layer in row.hidden_states)
        want = expected(states, n, n - 1)
        for name in router.blocks:
            np.testing.assert_allclose(out.blocks[name][i], want[name], atol=bar, rtol=bar, err_msg=name)


def test_a_head_that_caps_its_logits(causal_checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(causal_checkpoint, tmp_path / "capped")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"final_logit_softcapping": 0.05}))
    out, plain = FrozenRouter(folder).read(QUERIES), FrozenRouter(causal_checkpoint).read(QUERIES)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompt = tokenizer(QUERIES[0])["input_ids"]
    for j, policy in enumerate(POLICIES):
        name = tokenizer(policy.value, add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            row = model(torch.tensor([prompt + name])).logits[0].log_softmax(-1)
        said = sum(row[len(prompt) - 1 + t, token].item() for t, token in enumerate(name))
        assert out.logits[0, j] == pytest.approx(said, abs=1e-3)
    assert np.abs(out.logits - plain.logits).max() > 0.1
