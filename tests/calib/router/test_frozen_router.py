"""What a frozen router reads, against transformers called row by row."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from routecal.calib.checkpoint_errors import CheckpointMissing, RouterUnusable
from routecal.calib.errors import NonFinite
from routecal.calib.policy import POLICIES
from routecal.calib.router.checkpoint import label_order
from routecal.calib.router.frozen_router import FrozenRouter

QUERIES = [
    "What is the capital of France?",
    "Hi",
    "Why is the sky blue, and why are sunsets red, when the light that reaches us is the same?",
    "2+2?",
    "¿Cuántos años tiene el puente más viejo de la ciudad? 日本",
]


def test_classifier_agrees_with_transformers_row_by_row(router_checkpoint: Path) -> None:
    out = FrozenRouter(router_checkpoint).read(QUERIES)
    model = AutoModelForSequenceClassification.from_pretrained(router_checkpoint).eval()
    tokenizer = AutoTokenizer.from_pretrained(router_checkpoint)
    for i, query in enumerate(QUERIES):
        with torch.inference_mode():
            row = model(**tokenizer(query, return_tensors="pt"), output_hidden_states=True)
        by_name = {model.config.id2label[k]: v for k, v in enumerate(row.logits[0].tolist())}
        np.testing.assert_allclose(out.logits[i], [by_name[p.value] for p in POLICIES], atol=1e-5)
        np.testing.assert_allclose(out.hidden[i], row.hidden_states[-1][0, -1].numpy(), atol=1e-5)
    assert (out.policy == out.logits.argmax(1)).all()
    assert not out.truncated.any()


def test_causal_scores_every_name_as_a_continuation(causal_checkpoint: Path) -> None:
    template = "Route this: {query}\nPolicy: "
    out = FrozenRouter(causal_checkpoint, template=template).read(QUERIES)
    model = AutoModelForCausalLM.from_pretrained(causal_checkpoint).eval()
    tokenizer = AutoTokenizer.from_pretrained(causal_checkpoint)
    for i, query in enumerate(QUERIES):
        prompt = tokenizer(template.replace("{query}", query))["input_ids"]
        for j, policy in enumerate(POLICIES):
            name = tokenizer(policy.value, add_special_tokens=False)["input_ids"]
            with torch.inference_mode():
                row = model(torch.tensor([prompt + name]), output_hidden_states=True)
            log_p = row.logits[0].log_softmax(-1)
            # the token at position t is predicted at t - 1
            said = sum(log_p[len(prompt) - 1 + t, token].item() for t, token in enumerate(name))
            assert out.logits[i, j] == pytest.approx(said, abs=1e-3)
        np.testing.assert_allclose(out.hidden[i], row.hidden_states[-1][0, len(prompt) - 1].numpy(), atol=1e-5)


def test_order_and_company_of_the_queries_change_nothing(router_checkpoint: Path) -> None:
    router = FrozenRouter(router_checkpoint)
    together, alone = router.read(QUERIES), router.read([QUERIES[2]])
    turned = router.read(QUERIES[::-1])
    np.testing.assert_allclose(together.hidden[2], alone.hidden[0], atol=1e-5)
    np.testing.assert_allclose(together.logits, turned.logits[::-1], atol=1e-5)


@pytest.mark.parametrize("kind", ["router_checkpoint", "causal_checkpoint"])
def test_a_query_longer_than_the_window_keeps_its_start_and_end(kind: str, request: pytest.FixtureRequest) -> None:
    router = FrozenRouter(request.getfixturevalue(kind))
    out = router.read(["word " * 500 + "end?", "short?"])
    assert out.truncated.tolist() == [True, False]
    assert out.n_tokens[0] <= router.max_tokens
    assert np.isfinite(out.hidden).all()


def test_the_window_can_be_narrowed(router_checkpoint: Path) -> None:
    out = FrozenRouter(router_checkpoint, max_tokens=8).read(["a fairly long question about nothing at all?"])
    assert out.n_tokens.tolist() == [8]


def test_width_comes_from_the_checkpoint(router_checkpoint: Path) -> None:
    router = FrozenRouter(router_checkpoint)
    assert router.width == 16
    assert router.schema["width"] == "16"
    assert router.schema["dtype"] == "float32"


def test_another_template_is_another_schema(router_checkpoint: Path) -> None:
    one, other = (FrozenRouter(router_checkpoint, template=t).schema for t in ("{query}", "Q: {query}"))
    assert {k for k in one if one[k] != other[k]} == {"template_sha256"}


def test_nothing_is_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMissing, match="holds no Hugging Face checkpoint"):
        FrozenRouter(tmp_path)


def test_weights_are_missing(router_checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(router_checkpoint, tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointMissing):
        FrozenRouter(tmp_path)


def test_labels_that_are_not_the_policies(router_checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(router_checkpoint, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    config["id2label"] = {"0": "easy", "1": "hard", "2": "odd"}
    config["label2id"] = {"easy": 0, "hard": 1, "odd": 2}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RouterUnusable, match="its labels are easy, hard, odd, the policies are Standard_Query"):
        FrozenRouter(tmp_path)


def _labelled(*labels: str) -> SimpleNamespace:
    return SimpleNamespace(config=SimpleNamespace(id2label=dict(enumerate(labels))))


def test_labels_may_stand_in_any_order() -> None:
    model = _labelled("Ambiguous_Query", "Standard_Query", "Complex_Query")
    assert label_order(Path("router"), model) == [1, 2, 0]


def test_a_router_of_two_policies_is_told_which_is_missing() -> None:
    with pytest.raises(RouterUnusable, match="it has no label Ambiguous_Query, and a router has one for each"):
        label_order(Path("router"), _labelled("Standard_Query", "Complex_Query"))
    with pytest.raises(RouterUnusable, match="no label Complex_Query and no label Ambiguous_Query"):
        label_order(Path("router"), _labelled("Standard_Query"))


@pytest.mark.parametrize("more", ["odd", "Standard_Query"])
def test_a_label_more_than_there_are_policies_is_refused(more: str) -> None:
    with pytest.raises(RouterUnusable, match="rename id2label"):
        label_order(Path("router"), _labelled("Standard_Query", "Complex_Query", "Ambiguous_Query", more))


def test_an_architecture_of_neither_kind(router_checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(router_checkpoint, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    config["architectures"] = ["Gemma3TextModel"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RouterUnusable, match="its architecture is Gemma3TextModel"):
        FrozenRouter(tmp_path)


@pytest.mark.parametrize("template", ["no place", "{query} twice {query}"])
def test_a_template_without_one_place_for_the_query(router_checkpoint: Path, template: str) -> None:
    with pytest.raises(RouterUnusable, match="exactly once"):
        FrozenRouter(router_checkpoint, template=template)


def test_nan_in_the_weights_names_the_rows(router_checkpoint: Path) -> None:
    router = FrozenRouter(router_checkpoint)
    with torch.no_grad():
        router._model.score.weight.fill_(float("nan"))
    with pytest.raises(NonFinite, match="in 2 of 2 rows"):
        router.read(["one", "two"])


def test_braces_in_a_query_are_text(router_checkpoint: Path) -> None:
    out = FrozenRouter(router_checkpoint).read(["{query} {0} {context}"])
    assert np.isfinite(out.logits).all()
