"""The local oracle's fast generation against transformers called plainly, one row at a time."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma3ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from routecal.calib.checkpoint_errors import CheckpointMissing, CheckpointUnusable, QueryUnreadable
from routecal.calib.policy import OracleMatrix
from routecal.storage.artifact import read_table
from routecal.storage.folder_artifact import folder_at
from routecal.tasks.errors import NoGroundTruth
from routecal.tasks.oracle.label_shards import check_labelled, label_shard
from routecal.tasks.oracle.local_model import BATCH, MAX_NEW_TOKENS, LocalModel
from routecal.tasks.oracle.local_oracle import LocalOracle
from routecal.tasks.oracle.prompt_files import BOOKS, prompt, prompts_sha256
from tests.conftest import tiny_config
from tests.tasks.made import store_queries, texts

TEMPLATE = "Q: What is 2+2?\nA: 4\n\nFacts: {context}\nQ: {query}\nA:"


@pytest.fixture(scope="module")
def talkative(tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny causal model with weights so large that its answers differ from prompt to prompt."""
    torch.manual_seed(5)
    config = tiny_config(len(tokenizer))
    config.initializer_range, config.sliding_window, config.max_position_embeddings = 1.0, 4096, 4096
    config.tie_word_embeddings = False
    folder = tmp_path_factory.mktemp("talkative")
    Gemma3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def rows(n: int) -> list[dict[str, str]]:
    """Rows whose prompts differ in length, so that batches are padded."""
    return [{"query": text + "!" * (i % 7), "context": "word " * (i % 5)} for i, text in enumerate(texts(n))]


def plainly(folder: Path, row: dict[str, str]) -> tuple[str, int, int]:
    """(answer, tokens in, tokens out) by an ordinary `generate` on one unpadded prompt without a cache at the start."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    start, rest = TEMPLATE.split("{", 1)
    rest = ("{" + rest).replace("{context}", row["context"] or "none").replace("{query}", row["query"])
    ids = tokenizer(start)["input_ids"] + tokenizer(rest, add_special_tokens=False)["input_ids"]
    newline = tokenizer("\n", add_special_tokens=False)["input_ids"][0]
    with torch.inference_mode():
        out = model.generate(
            torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            max_new_tokens=MAX_NEW_TOKENS,
            do_sample=False,
            eos_token_id=[tokenizer.eos_token_id, newline],
            pad_token_id=tokenizer.pad_token_id,
        )
    new = out[0, len(ids) :].tolist()
    text = tokenizer.decode(new, skip_special_tokens=True).split("\n")[0].strip()
    return text, len(ids), sum(token != tokenizer.pad_token_id for token in new)


def test_batches_on_a_shared_prefix_say_what_single_plain_rows_say(talkative: Path) -> None:
    asked = rows(24)
    said = LocalModel(str(talkative), TEMPLATE).answer(asked)
    assert [tuple(answer) for answer in said] == [plainly(talkative, row) for row in asked]
    # or the agreement would mean little
    assert len({answer.text for answer in said}) >= 8


def test_answers_come_in_the_order_of_the_rows(talkative: Path) -> None:
    model, asked = LocalModel(str(talkative), TEMPLATE), rows(BATCH + 10)
    assert model.answer(asked)[::-1] == model.answer(asked[::-1])
    assert model.answer([]) == []


def test_braces_are_text(talkative: Path) -> None:
    model = LocalModel(str(talkative), TEMPLATE)
    filled = model._fill({"query": "Is {context} or {0} or {query} in it?", "context": "Say {query} {"})
    assert filled == "Say {query} {\nQ: Is {context} or {0} or {query} in it?\nA:"
    assert model._fill({"query": "q", "context": None}) == "none\nQ: q\nA:"
    assert len(model.answer([{"query": "{query} {0} {context} }{", "context": "{}"}])) == 1


def test_only_queries_with_a_ground_truth_are_asked(talkative: Path) -> None:
    queries = store_queries(
        ["Graded?", "Ungraded?", "Graded by an alias?"],
        ground_truth=["nothing says this", None, "nor this"],
        aliases=[None, None, ["or this"]],
        context=["a fact", "a fact", None],
    )
    oracle = LocalOracle(name="Tiny", checkpoint=folder_at(str(talkative), "models"), prompts_sha256=prompts_sha256())
    labels = label_shard.fn(queries, oracle, OracleMatrix())
    found = read_table(labels).to_pylist()
    ids = read_table(queries)["query_id"].to_pylist()
    assert [row["query_id"] for row in found] == [ids[0], ids[2]]
    for row in found:
        assert row["medium_model"] == "Tiny (closed_book)"
        assert row["large_model"] == "Tiny (open_book)"
        assert row["large_tokens_in"] > row["medium_tokens_in"] > 0
        assert {row["medium_grade"], row["large_grade"]} <= {"INCORRECT", "NOT_ATTEMPTED"}
        assert row["true_policy"] == OracleMatrix().true_policy(row["medium_grade"], row["large_grade"]).value
    assert oracle.facts["Large model"].startswith("the same weights")


def test_nothing_can_be_graded(talkative: Path) -> None:
    queries = store_queries(["Ungraded?"])
    oracle = LocalOracle(name="Tiny", checkpoint=folder_at(str(talkative), "models"), prompts_sha256="0")
    labels = label_shard.fn(queries, oracle, OracleMatrix())
    with pytest.raises(NoGroundTruth, match="none of the 1 queries has a ground_truth"):
        check_labelled(labels, queries, oracle)


def test_a_right_answer_counts_by_reference_or_alias(talkative: Path) -> None:
    checkpoint = folder_at(str(talkative), "models")
    asked = [{"query": text} for text in texts(8)]
    closed = LocalModel(str(talkative), prompt("closed_book")).answer(asked)
    said = [i for i, answer in enumerate(closed) if any(c.isalnum() for c in answer.text)][:2]
    assert len(said) == 2
    queries = store_queries(
        [asked[i]["query"] for i in said],
        ground_truth=[closed[said[0]].text, "something else"],
        aliases=[None, [closed[said[1]].text]],
    )
    oracle = LocalOracle(name="Tiny", checkpoint=checkpoint, prompts_sha256="0")
    found = read_table(label_shard.fn(queries, oracle, OracleMatrix())).to_pylist()
    assert [row["medium_grade"] for row in found] == ["CORRECT", "CORRECT"]


def test_prompts_end_where_the_answer_begins() -> None:
    for book in BOOKS.values():
        text = prompt(book)
        assert text.count("{query}") == 1
        assert text.rstrip("\n").endswith("Answer:")
    assert "{context}" in prompt("open_book")
    assert "{context}" not in prompt("closed_book")


def test_a_checkpoint_that_cannot_answer(causal_checkpoint: Path, router_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((causal_checkpoint / "config.json").read_bytes())
    with pytest.raises(CheckpointMissing, match="complete Hugging Face checkpoint"):
        LocalModel(str(tmp_path), TEMPLATE)
    with pytest.raises(CheckpointMissing, match="holds no causal language model"):
        LocalModel(str(router_checkpoint), TEMPLATE)


def test_a_damaged_model_is_refused_before_it_answers(talkative: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(talkative, tmp_path / "model"))
    tensors = load_file(folder / "model.safetensors")
    save_file({f"_orig_mod.{k}": v for k, v in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointUnusable, match=r"torch\.compile had wrapped"):
        LocalModel(str(folder), TEMPLATE)
    del tensors["lm_head.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointUnusable, match="the output layer was not saved"):
        LocalModel(str(folder), TEMPLATE)


def test_padding_does_not_push_out_what_a_sliding_window_should_see(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    config = tiny_config(len(tokenizer))
    config.initializer_range, config.sliding_window, config.max_position_embeddings = 1.0, 32, 4096
    config.tie_word_embeddings = False
    Gemma3ForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    asked = rows(12)
    model = LocalModel(str(tmp_path), TEMPLATE)
    said = model.answer(asked)
    assert said == [model.answer([row])[0] for row in asked]
    assert len({answer.text for answer in said}) >= 5


def test_a_prompt_beyond_a_table_of_positions_is_refused_by_its_row(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    ids = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, n_positions=128, **ids)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = LocalModel(str(tmp_path), TEMPLATE)
    assert len(model.answer([{"query": "Short?"}])) == 1
    with pytest.raises(
        QueryUnreadable, match=r"\(rows 1, from 0\): with the prompt they are longer than the 128 tokens"
    ):
        model.answer([{"query": "Short?"}, {"query": "Long? " * 60}])
