"""A causal language model on this machine that completes a prompt, greedily and in batches."""

import copy
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from routecal.calib.checkpoint_errors import CheckpointMissing, CheckpointUnusable, QueryUnreadable

# Short answers only: one line, and the demo's longest ("South Georgia and …") fits.
MAX_NEW_TOKENS = 12
BATCH = 50


class LocalAnswer(NamedTuple):
    """One generated answer and the tokens it took."""

    text: str
    tokens_in: int
    tokens_out: int


class Begun(NamedTuple):
    """A batch of prompts that was read: the model's output, its cache, and tensors of positions and of the mask."""

    out: Any
    cache: Any
    positions: Any
    mask: Any


class LocalModel:
    """A causal checkpoint that completes one prompt template.

    The template's words before its first placeholder (instructions, worked examples) are the same for every query, so
    they are read once and their key-value cache is reused: on 2 cores about twice the answers per second.

    Args:
        path: folder of a causal-LM checkpoint.
        template: text with `{query}` and, for open-book, `{context}`; the answer is the line that follows it.

    Raises:
        CheckpointMissing: the folder holds no causal language model that can be read.
        CheckpointUnusable: its tensors, tokenizer and config are not those of one model.
        RouterUnusable: in a padded batch it does not say what it says of each prompt alone.
    """

    def __init__(self, path: str, template: str) -> None:
        # Imported with the first model: the oracles that ask over the network share this package and need no torch.
        import torch
        from transformers import DynamicCache

        from routecal.calib.router.batch_invariance import SHORT, check_vocabulary, compare, in_a_sentence
        from routecal.calib.router.checkpoint import kind_of, load
        from routecal.calib.router.reader import MIXED
        from routecal.calib.router.window import learned_positions, sliding_window

        if (kind := kind_of(Path(path))) != "causal":
            raise CheckpointMissing(path, f"causal language model (it is for {kind.replace('_', ' ')})")
        self._tokenizer, self._model = load(Path(path), kind, "auto", torch.device("cpu"))
        if self._tokenizer.eos_token_id is None:
            raise CheckpointUnusable(path, "its tokenizer names no eos_token, so its answers would not end; name one")
        check_vocabulary(path, self._tokenizer, self._model.get_input_embeddings().num_embeddings)
        self._window, self._sliding = learned_positions(self._model), sliding_window(self._model)
        self._tokenizer.padding_side = "left"
        prefix, _, rest = template.rstrip("\n").partition("{")
        self._rest = "{" + rest
        self._prefix = self._tokenizer(prefix, return_tensors="pt").input_ids
        self._prefix_cache = DynamicCache(config=self._model.config)
        with in_a_sentence(path, self._model.config.model_type), torch.inference_mode():
            self._model.base_model(self._prefix, cache=self._prefix_cache, use_cache=True)
            tried = [SHORT, MIXED]
            alone = torch.cat([self._begin([text]).out.logits[:, -1].float() for text in tried])
            together = torch.empty_like(alone)
            for batch in self._batches(tried, self._lengths(tried)):
                together[batch] = self._begin([tried[i] for i in batch]).out.logits[:, -1].float()
            compare(path, self._model.config.model_type, alone, together, self._model.dtype)
        # Some vocabularies hold "\n\n" as one token, which ends the line as well.
        ends = {self._tokenizer.encode("\n" * k, add_special_tokens=False)[0] for k in (1, 2, 3)}
        self._stop = torch.tensor([self._tokenizer.eos_token_id, *sorted(ends)])

    def answer(self, rows: Sequence[dict[str, Any]]) -> list[LocalAnswer]:
        """One answer per row, in order; a row holds the template's fields. Batches hold prompts of like length.

        Raises:
            QueryUnreadable: a prompt is longer than the model's table of positions.
        """
        prompts = [self._fill(row) for row in rows]
        lengths = self._lengths(prompts)
        room = float("inf") if self._window is None else self._window - self._prefix.shape[1] - MAX_NEW_TOKENS
        if too_long := tuple(i for i, length in enumerate(lengths) if length > room):
            reason = f"with the prompt they are longer than the {self._window} tokens that the local model can read"
            raise QueryUnreadable(too_long, len(rows), f"{reason}; shorten query or context, or leave them out")
        answers: dict[int, LocalAnswer] = {}
        for batch in self._batches(prompts, lengths):
            answers.update(zip(batch, self._generate([prompts[i] for i in batch]), strict=True))
        return [answers[i] for i in range(len(rows))]

    def _lengths(self, prompts: Sequence[str]) -> list[int]:
        """Tokens of every prompt, without the shared prefix."""
        if not prompts:
            return []
        encoded = self._tokenizer(list(prompts), add_special_tokens=False, verbose=False)
        return [len(ids) for ids in encoded["input_ids"]]

    def _batches(self, prompts: Sequence[str], lengths: Sequence[int]) -> Iterator[list[int]]:
        """Rows that are read together: of like length, and of one length where padding would push out what is near.

        A sliding window counts padding among the tokens that a token may look back at.
        """
        near = self._sliding - self._prefix.shape[1] - MAX_NEW_TOKENS

        def alike(i: int) -> int:
            return lengths[i] if lengths[i] > near else 0

        rows = sorted(range(len(lengths)), key=lambda i: (alike(i), len(prompts[i])))
        for _, group in groupby(rows, key=alike):
            same = list(group)
            yield from (same[start : start + BATCH] for start in range(0, len(same), BATCH))

    def _fill(self, row: dict[str, Any]) -> str:
        """The rest of the template with one row's fields in place (no `str.format`: queries may hold braces)."""
        fields = {"{context}": row.get("context") or "none", "{query}": row["query"]}
        return re.sub(r"\{context\}|\{query\}", lambda place: fields[place[0]], self._rest)

    def _generate(self, prompts: list[str]) -> list[LocalAnswer]:
        """Greedy completions of prompts that follow the shared prefix.

        A row leaves the batch with its last token: most answers are two or three tokens long, and waiting for the
        longest would spend most of the time on rows that are done.
        """
        import torch

        out, cache, positions, mask = self._begin(prompts)
        read = mask.sum(1)
        rows = torch.arange(len(prompts))
        said: list[list[int]] = [[] for _ in prompts]
        for step in range(MAX_NEW_TOKENS):
            token = out.logits[:, -1].argmax(-1)
            for row, t in zip(rows.tolist(), token.tolist(), strict=True):
                said[row].append(t)
            going = torch.isin(token, self._stop, invert=True).nonzero().squeeze(1)
            if not len(going) or step == MAX_NEW_TOKENS - 1:
                break
            cache.batch_select_indices(going)
            rows, ids, positions = rows[going], token[going, None], positions[going, -1:] + 1
            mask = torch.nn.functional.pad(mask[going], (0, 1), value=1)
            out = self._next(ids, mask, positions, cache)
        texts = self._tokenizer.batch_decode(said, skip_special_tokens=True)
        return [
            LocalAnswer(text.split("\n")[0].strip(), n_in, len(tokens))
            for text, n_in, tokens in zip(texts, read.tolist(), said, strict=True)
        ]

    def _begin(self, prompts: list[str]) -> Begun:
        """Read prompts, padded on the left, after the shared prefix."""
        import torch

        encoded = self._tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False, verbose=False)
        n, shared = len(prompts), self._prefix.shape[1]
        mask = torch.cat([torch.ones(n, shared, dtype=torch.long), encoded.attention_mask], dim=1)
        cache = copy.deepcopy(self._prefix_cache)
        cache.batch_repeat_interleave(n)
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, shared:]
        return Begun(self._next(encoded.input_ids, mask, positions, cache), cache, positions, mask)

    def _next(self, ids: Any, mask: Any, positions: Any, cache: Any) -> Any:
        import torch

        with torch.inference_mode():
            return self._model(ids, attention_mask=mask, position_ids=positions, cache=cache, logits_to_keep=1)


@lru_cache(maxsize=2)
def local_model(path: str, template: str) -> LocalModel:
    """The model for a checkpoint and template, loaded once per process."""
    return LocalModel(path, template)
