"""What is taken for queries, and how much is read of one."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from routecal.calib.checkpoint_errors import NotQueries, QueryUnreadable, RouterUnusable
from routecal.calib.router import prompt_tokens
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.calib.router.prompt_tokens import Prompts, texts_of
from tests.calib.tiny_families import save


@pytest.mark.parametrize(
    "queries", ["a?", ["a?"], ("a?",), np.array(["a?"]), np.array(["a?"], object), (q for q in ["a?"])]
)
def test_one_query_in_many_guises(queries: Any) -> None:
    found = texts_of(queries)
    assert found == ["a?"]
    assert type(found[0]) is str


class Frame:
    """As a DataFrame is: iterated over, it gives the names of its columns."""

    columns = ("query",)

    def __iter__(self) -> Any:
        return iter(self.columns)


@pytest.mark.parametrize(
    ("queries", "sentence"),
    [
        ([None], "query 0 is of type NoneType; give one str, or a list"),
        (["a?", b"b?"], "query 1 is of type bytes"),
        (["a?", 3], "query 1 is of type int"),
        (["a?", float("nan")], "query 1 is of type float"),
        ([["a?"]], "query 0 is of type list"),
        (np.array([["a?"]]), "query 0 is of type ndarray"),
        (b"a?", "queries are of type bytes"),
        ({"query": "a?"}, "queries are of type dict"),
        ({"a?"}, "queries are of type set"),
        (None, "queries are of type NoneType"),
        (7, "queries are of type int"),
        (np.array("a?"), "queries are of type ndarray"),
        (Frame(), "queries are of type Frame"),
    ],
)
def test_what_are_no_queries(queries: Any, sentence: str) -> None:
    with pytest.raises(NotQueries, match=sentence):
        texts_of(queries)
    with pytest.raises(TypeError):
        texts_of(queries)


@pytest.mark.parametrize(
    ("queries", "sentence"),
    [
        (["a?", "", " \n\u3000"], r"2 of 3 queries cannot be read \(rows 1, 2, from 0\): they are blank"),
        ("", r"1 of 1 queries cannot be read \(rows 0, from 0\): they are blank"),
        (["a?", "b\ud800"], r"\(rows 1, from 0\): they hold half of a surrogate pair"),
    ],
)
def test_queries_without_text(queries: Any, sentence: str) -> None:
    with pytest.raises(QueryUnreadable, match=sentence):
        texts_of(queries)


@pytest.mark.parametrize("template", ["{query}", "Route this: {query}\nPolicy:"])
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_a_query_of_which_no_token_is_made_is_refused_by_its_row(family: str, template: str, tmp_path: Path) -> None:
    router = FrozenRouter(save(family, tmp_path), template=template)
    with pytest.raises(QueryUnreadable, match=r"2 of 3 queries cannot be read \(rows 1, 2, from 0\): .* no token"):
        router.read(["a?", "\u200b", "\u200b\u200b"])


def test_a_token_without_a_row_in_the_embedding_is_refused_by_its_row(router_checkpoint: Path, tmp_path: Path) -> None:
    # Gemma's text models have one: the place of a picture
    folder = shutil.copytree(router_checkpoint, tmp_path / "router")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<picture>"]})
    tokenizer.save_pretrained(folder)
    router = FrozenRouter(folder)
    with pytest.raises(QueryUnreadable, match=r"\(rows 1, from 0\): they hold a special token that the router's embed"):
        router.read(["a?", "What is in <picture>?"])
    assert router.read("a?").n_tokens[0] > 1


@pytest.fixture
def made(tokenizer: PreTrainedTokenizerFast) -> Callable[..., Prompts]:
    def of(template: str = "{query}", **options: Any) -> Prompts:
        known = {"window": 10**6, "spare": 0, "is_capped": True, "n_rows": 10**6, "path": "here"}
        return Prompts(tokenizer, template, **(known | options))

    return of


def test_of_a_long_query_both_ends_are_read(made: Callable[..., Prompts], tokenizer: PreTrainedTokenizerFast) -> None:
    long = " ".join(str(i) for i in range(3000))
    (prompt,) = made().of([long])
    whole = tokenizer(long, verbose=False)["input_ids"]
    assert prompt.is_cut
    # the token that opens every text comes on top
    assert len(prompt.ids) == prompt_tokens.QUERY_TOKENS + 1 < len(whole)
    assert prompt.ids == whole[:1024] + whole[-1025:]


def test_a_template_leaves_a_query_as_many_tokens(made: Callable[..., Prompts]) -> None:
    template = "word " * 3000 + "{query} end"
    first, second = made(template).of(["short?", "long " * 3000])
    assert not first.is_cut
    assert second.is_cut
    assert len(second.ids) - len(made(template).empty) == prompt_tokens.QUERY_TOKENS


def test_ordinary_queries_are_read_as_without_a_cap(made: Callable[..., Prompts]) -> None:
    asked = ["Hi", "What is the capital of France? " * 40]
    assert made(is_capped=True).of(asked) == made(is_capped=False).of(asked)


def test_characters_that_could_not_be_read_are_not_even_tokenised(
    made: Callable[..., Prompts], monkeypatch: pytest.MonkeyPatch, tokenizer: PreTrainedTokenizerFast
) -> None:
    few, plain = made(window=100), made(window=100, is_capped=False)
    query = "start " + "x" * 50_000 + " end?"
    seen: list[int] = []
    real = type(tokenizer).__call__

    def counted(self: Any, text: Any, **options: Any) -> Any:
        seen.append(max(map(len, text)))
        return real(self, text, **options)

    monkeypatch.setattr(type(tokenizer), "__call__", counted)
    assert few.of([query])[0].is_cut
    assert seen == [2 * 32 * 100]
    assert few.of([query]) == plain.of([query])


def test_a_window_that_the_template_fills(made: Callable[..., Prompts]) -> None:
    with pytest.raises(
        RouterUnusable, match=r"its window of 20 tokens .* the template takes \d+; shorten the template"
    ):
        made("a rather long template, with many words around {query}", window=20)


def test_the_cap_is_said_where_it_changes_what_is_read(
    router_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "query_tokens" not in FrozenRouter(router_checkpoint).schema  # its window is smaller
    monkeypatch.setattr("routecal.calib.router.prompt_tokens.QUERY_TOKENS", 40)
    monkeypatch.setattr("routecal.calib.router.frozen_router.QUERY_TOKENS", 40)
    capped, wide = FrozenRouter(router_checkpoint), FrozenRouter(router_checkpoint, max_tokens=96)
    assert capped.schema == wide.schema | {"query_tokens": "40"}
    long = "word " * 200
    assert capped.read(long).n_tokens[0] == 41
    assert wide.read(long).n_tokens[0] == 96
