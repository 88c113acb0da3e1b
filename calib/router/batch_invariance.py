"""One dry pass when a router is opened: what it reads in a batch is what its checkpoint says of each text alone.

This is what decides which architectures serve as routers, besides the list that the tests compare with transformers'
own pipeline: any whose batched reading equals the model's own forward pass, one row at a time without padding. It finds
position tables that are too small, token ids that no embedding holds, heads that read another token, families that
need padding on the left, and logits that are scaled in a way of their own. On Gemma-3-270M it takes one core about two
seconds.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from routecal.calib.checkpoint_errors import CheckpointUnusable, RouterUnusable
from routecal.calib.errors import CalibError
from routecal.calib.router.prompt_tokens import Prompts, cut
from routecal.calib.router.reader import MIXED, Reader

logger = logging.getLogger(__name__)

SHORT = "Hi"
LONG = "Who built the oldest bridge of the town, and what did it cost then? "
# Read in full where positions are learned and end somewhere; where they are computed, this much shows the same.
PROBE_TOKENS, TABLE_TOKENS = 64, 4096


def check_vocabulary(path: str, tokenizer: Any, rows: int) -> None:
    """Refuse, with CheckpointUnusable, a tokenizer whose tokens are not those of the embedding.

    A few special tokens beyond the embedding are allowed (Gemma's text models have one, for pictures): a query that
    holds one is refused by itself. So is an embedding with rows to spare, which many have for speed.
    """
    ids = set(tokenizer.get_vocab().values())
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    named = {getattr(tokenizer, f"{name}_token_id", None) for name in ("pad", "bos", "eos", "unk", "cls", "sep")}
    if outside := sorted({i for i in ids if i >= rows} - (special - named)):
        raise CheckpointUnusable(
            path,
            f"its tokenizer has {len(ids)} tokens, of which {len(outside)} have ids that its embedding of {rows} rows "
            f"does not hold (first {outside[0]}); save the tokenizer that the model was trained with, or "
            "call model.resize_token_embeddings before training",
        )
    if len(ids) < rows / 2:
        raise CheckpointUnusable(
            path,
            f"its tokenizer has {len(ids)} tokens and its embedding {rows} rows: it is another model's; save the "
            "tokenizer that the model was trained with",
        )


def settle_reading(
    path: str, family: str, prompts: list[list[int]], reader: Reader, dtype: torch.dtype, beginning: list[int]
) -> None:
    """Have a reader keep keys and values where it reads right with them, and not where it reads right without.

    Args:
        path, family, prompts, reader, dtype: as of `check_reading`, whose errors these are.
        beginning: token ids that all prompts begin with.
    """
    if reader.body.reuses:
        try:
            reader.body.share(beginning)
            return check_reading(path, family, prompts, reader, dtype)
        # Caches are the least alike of all that architectures do, and nothing but speed is lost without one.
        except Exception as error:
            logger.debug("%s is read without a cache: %s", path, error)
            reader.body.stop_reusing()
    return check_reading(path, family, prompts, reader, dtype)


def check_reading(path: str, family: str, prompts: list[list[int]], reader: Reader, dtype: torch.dtype) -> None:
    """Read the prompts in one batch and one by one, and compare.

    Args:
        path: of the checkpoint, for messages.
        family: the model's type, for messages.
        prompts: token ids.
        reader: of the router.
        dtype: that it computes in.

    Raises:
        RouterUnusable: logits in a batch are not those of each text alone.
        CheckpointUnusable: logits are not finite.
    """
    with torch.inference_mode():
        alone = torch.stack([reader.own(prompt).float().cpu() for prompt in prompts])
        together = _batched(prompts, reader)
    compare(path, family, alone, together, dtype)


def compare(path: str, family: str, alone: Tensor, together: Tensor, dtype: torch.dtype) -> None:
    """Refuse logits (b, k) of a batch that are not those of each text alone; errors as `check_reading`."""
    if not torch.isfinite(alone).all():
        raise CheckpointUnusable(path, "its logits are NaN or infinite on ordinary text; check its config and weights")
    if not (apart := (alone - together).abs().max()) <= tolerance(alone, dtype):
        raise RouterUnusable(
            path,
            f"{family} gives other logits in a padded batch than alone (they differ by {apart:.3g}), so routecal "
            "cannot read it; give a decoder (as Gemma, Llama, Qwen, Mistral, GPT-2) or an encoder (as BERT, RoBERTa, "
            "MPNet, DeBERTa, ModernBERT)",
        )


def tolerance(logits: Tensor, dtype: torch.dtype) -> Tensor:
    """How far logits may be from these where only the order or the width of rounding is another.

    A batch rounds in another order than a row: by a few parts in 2^8 in bfloat16, hardly at all in float32.
    """
    return max(1e-4, 16 * torch.finfo(dtype).eps) * (1 + logits.abs().max())


def _batched(prompts: list[list[int]], reader: Reader) -> Tensor:
    logits = torch.empty(len(prompts), 3)
    for kind in {reader.alike(prompt) for prompt in prompts}:
        rows = [i for i, prompt in enumerate(prompts) if reader.alike(prompt) == kind]
        logits[rows] = reader.read([prompts[i] for i in rows])[0].float().cpu()
    return logits


@contextmanager
def in_a_sentence(path: str, family: str) -> Iterator[None]:
    """Turn whatever a model raises when it is tried into RouterUnusable."""
    try:
        yield
    except (CalibError, MemoryError):
        raise
    # Every architecture fails in its own way: IndexError, RuntimeError, TypeError, AttributeError …
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        advice = "if its type is what fails, read it in float32 (--dtype float32)"
        raise RouterUnusable(path, f"{family} cannot be read as routecal reads ({reason}); {advice}") from error


def samples(prompts: Prompts, *, is_table: bool, padding: int | None) -> list[list[int]]:
    """Token ids to try: short, mixed, long, and ending in what may be taken for padding.

    Args:
        prompts: of the router.
        is_table: positions are learned, so that the long one fills the window.
        padding: id of the model's padding token.
    """
    room = min(prompts.room, TABLE_TOKENS if is_table else PROBE_TOKENS)
    tried = [cut(prompt.ids, room) for prompt in prompts.of([SHORT, MIXED, LONG * (room // 8 + 1)])]
    return tried if padding is None or len(tried[0]) >= room else [*tried, [*tried[0], padding]]
