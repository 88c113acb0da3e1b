"""What a router reads against transformers' own pipeline, for every family that is said to work."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from routecal.calib.checkpoint_errors import CheckpointUnusable, RouterUnusable
from routecal.calib.policy import POLICIES
from routecal.calib.router.checkpoint import native_dtype
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.calib.router.prompt_tokens import cut
from tests.calib.tiny_families import DECODERS, ENCODERS, FAMILIES, WINDOW, save

QUERIES = [
    "Hi",
    "What is the capital of France?",
    "Who built the oldest bridge, and why? Who built it?",
    "2+2?",
    "Ends in the end token<eos>",
    "<eos>",
    "Ends in the padding token<pad>",
    "one <eos> in the middle, and <pad> too",
    "¿Qué? 日本",
]
# what the head reads, as heads and features call it
POOLING = {
    **dict.fromkeys(DECODERS, "last_token"),
    **dict.fromkeys(ENCODERS, "first_token"),
    "modernbert-mean": "mean",
    "bart": "last_eos",
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The checkpoint of a family, made once."""
    folders: dict[str, Path] = {}

    def of(family: str) -> Path:
        if family not in folders:
            folders[family] = save(family, tmp_path_factory.mktemp(family))
        return folders[family]

    return of


def by_pipeline(folder: Path, texts: list[str], **options: object) -> NDArray[np.float32]:
    """(n, 3) logits as transformers' own pipeline gives them, one text at a time."""
    classify = pipeline(
        "text-classification", model=str(folder), top_k=None, function_to_apply="none", device="cpu", **options
    )
    scores = [{one["label"]: one["score"] for one in row} for row in classify(texts)]
    return np.array([[row[p.value] for p in POLICIES] for row in scores], np.float32)


def change(folder: Path, file: str, **values: object) -> Path:
    """Edit one of the folder's JSON files."""
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return folder


def agrees(router: FrozenRouter, want: NDArray[np.float32], texts: list[str]) -> None:
    """In one batch, one by one, and the other way round."""
    one_by_one = np.concatenate([router.read(text).logits for text in texts])
    for logits in (router.read(texts).logits, router.read(texts[::-1]).logits[::-1], one_by_one):
        np.testing.assert_allclose(logits, want, atol=2e-5, rtol=1e-4)
        assert (logits.argmax(1) == want.argmax(1)).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_decisions_and_states_are_transformers_own(family: str, saved: Callable[[str], Path]) -> None:
    folder = saved(family)
    router = FrozenRouter(folder)
    assert router.schema["pooling"] == POOLING[family]
    want = by_pipeline(folder, QUERIES)
    agrees(router, want, QUERIES)
    assert len(np.unique(want, axis=0)) >= 6, "texts that are all alike would not show what is read"
    # the state is the one that the logits are made of
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    hidden = router.read(QUERIES).hidden
    for i, text in enumerate(QUERIES):
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            states = model.base_model(input_ids=ids, attention_mask=torch.ones_like(ids))[0][0]
        real = [at for at, token in enumerate(ids[0].tolist()) if token != model.config.pad_token_id]
        place = {"last_token": real[-1] if real else 0, "first_token": 0, "last_eos": len(ids[0]) - 1}
        read = states.mean(0) if POOLING[family] == "mean" else states[place[POOLING[family]]]
        np.testing.assert_allclose(hidden[i], read.numpy(), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("family", DECODERS)
def test_the_end_token_may_be_the_padding_token(family: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    folder = change(shutil.copytree(saved(family), tmp_path / "router"), "config.json", pad_token_id=1)
    change(folder, "tokenizer_config.json", pad_token="<eos>")
    agrees(FrozenRouter(folder), by_pipeline(folder, QUERIES), QUERIES)
    # a template that ends in it, as chat templates do
    template = "Q: {query}<eos>"
    asked = [template.replace("{query}", query) for query in QUERIES]
    agrees(FrozenRouter(folder, template=template), by_pipeline(folder, asked), QUERIES)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_tokenizer_s_padding_side_changes_nothing(
    family: str, side: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(saved(family), tmp_path / "router")
    change(folder, "tokenizer_config.json", padding_side=side)
    np.testing.assert_allclose(
        FrozenRouter(folder).read(QUERIES).logits, FrozenRouter(saved(family)).read(QUERIES).logits, atol=1e-6
    )


@pytest.mark.parametrize("family", ["gemma3", "llama", "bert", "roberta", "modernbert-mean", "bart"])
def test_special_tokens_of_a_rendered_template_are_there_once(family: str, saved: Callable[[str], Path]) -> None:
    end = "<eos>" if family in ENCODERS else ""
    router = FrozenRouter(saved(family), template=f"<bos>user: {{query}}\nmodel:{end}")
    plain = FrozenRouter(saved(family), template="user: {query}\nmodel:")
    asked = [f"user: {query}\nmodel:" for query in QUERIES]
    agrees(router, by_pipeline(saved(family), asked), QUERIES)
    assert router.schema["special_tokens"] == "template"
    assert "special_tokens" not in plain.schema
    assert router.read("Hi").n_tokens == plain.read("Hi").n_tokens


@pytest.mark.parametrize("family", FAMILIES)
def test_a_query_beyond_the_window_keeps_both_ends(family: str, saved: Callable[[str], Path]) -> None:
    router = FrozenRouter(saved(family))
    assert router.max_tokens == WINDOW - (
        family == "mpnet"
    )  # its table starts behind padding index 1, whatever ids say
    texts = [QUERIES[1] * 9 + "The end?", QUERIES[1], "x" * 4 * WINDOW]
    out = router.read(texts)
    assert out.truncated.tolist() == [True, False, True]
    model = AutoModelForSequenceClassification.from_pretrained(saved(family)).eval()
    tokenizer = AutoTokenizer.from_pretrained(saved(family))
    for i, text in enumerate(texts):
        ids = torch.tensor([cut(tokenizer(text, verbose=False)["input_ids"], router.max_tokens)])
        assert ids.shape[1] == out.n_tokens[i]
        with torch.inference_mode():
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0].numpy()
        np.testing.assert_allclose(out.logits[i], logits, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16(family: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(saved(family), dtype=torch.bfloat16)
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(saved(family)).save_pretrained(tmp_path)
    if family == "deberta" and native_dtype(torch.bfloat16, torch.device("cpu")) is torch.bfloat16:
        with pytest.raises(RouterUnusable, match=r"deberta cannot be read .*--dtype float32"):  # nor by transformers
            FrozenRouter(tmp_path)
    router = FrozenRouter(tmp_path, dtype="float32" if family == "deberta" else "auto")
    computed_in = getattr(torch, router.schema["dtype"])
    want = by_pipeline(tmp_path, QUERIES, dtype=computed_in)
    bar = 16 * torch.finfo(computed_in).eps * (1 + np.abs(want).max())
    assert np.abs(router.read(QUERIES).logits - want).max() < bar


def test_a_bart_that_denies_its_encoder(saved: Callable[[str], Path], tmp_path: Path) -> None:
    folder = change(shutil.copytree(saved("bart"), tmp_path / "router"), "config.json", is_encoder_decoder=False)
    with pytest.raises(CheckpointUnusable, match="this bart has no encoder"):
        FrozenRouter(folder)


@pytest.mark.parametrize("family", ["t5", "xlnet"])
def test_families_that_are_read_otherwise_are_refused_by_name(
    family: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import transformers

    from tests.calib.tiny_families import LABELS, tokenizer_of

    tokenizer = tokenizer_of("bert")
    sizes = {
        "t5": {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0},
        "xlnet": {"d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 24},
    }[family]
    stem = {"t5": "T5", "xlnet": "XLNet"}[family]
    ids = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
    config = getattr(transformers, f"{stem}Config")(
        vocab_size=len(tokenizer), **sizes, **ids, id2label=LABELS, label2id={v: k for k, v in LABELS.items()}
    )
    caplog.set_level(logging.ERROR)
    getattr(transformers, f"{stem}ForSequenceClassification")(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(RouterUnusable, match=rf"{family} (is an encoder-decoder|names a window of -1)"):
        FrozenRouter(tmp_path)
