"""The body of a frozen router: its network run on a batch of token ids, blocks pooled while it runs.

Nothing is computed twice, and nothing that is not read:

- a causal model gets no attention mask: rows are padded on the right, where causal attention cannot look, so the states
  of real tokens are the same without one and cheaper;
- the tokens that every prompt begins with (the template's) are read once and kept, as keys and values;
- texts that go on from one prompt (the names of the policies) are read after it, not each with the prompt again;
- states of inner layers are pooled by a hook as soon as they are computed, so no more than the pooled vectors stay in
  memory.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from routecal.calib.checkpoint_errors import RouterUnusable
from routecal.calib.router.pooling import Block, Places, pooled

# A shorter beginning is not worth a cache of its own.
_LEAST_SHARED = 16


class Ran(NamedTuple):
    """One batch that was read.

    Attributes:
        output: the model's.
        states: (rows, tokens, d) of the last layer.
        vectors: (b, k, d) float32 for every block; k = 1 but for those pooled at the decision.
        mask: (rows, tokens) int64, 1 where a token is real.
    """

    output: Any
    states: Tensor
    vectors: dict[str, Tensor]
    mask: Tensor


class _Shared(NamedTuple):
    """What all prompts begin with, read once: token ids, states (1, tokens, d) by layer, keys and values."""

    ids: list[int]
    states: dict[int, Tensor]
    cache: Any


def is_causal(model: Any) -> bool:
    """Whether a token's state stays what it was when the tokens after it change: tried, as no config says so."""
    with torch.inference_mode():
        ids = torch.tensor([[1, 1, 1, 1], [1, 2, 2, 2]], device=model.device)
        first = model.base_model(input_ids=ids)[0][:, 0]
    rounding = 16 * torch.finfo(first.dtype).eps * first.abs().max()
    # Weights that are NaN are named later, with the rows they spoil.
    return not bool((first[0] - first[1]).abs().max() > rounding)


def inner_layers(model: Any) -> torch.nn.ModuleList | None:
    """The layers of a model one by one; None where they cannot be read: it has two stacks of them, or no list."""
    n_layers = model.config.get_text_config().num_hidden_layers
    lists = (m for m in model.base_model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == n_layers)
    return None if model.config.is_encoder_decoder else next(lists, None)


class Body:
    """A loaded checkpoint, asked for some blocks.

    Args:
        model: any transformers model with a `base_model`.
        pad: token id to pad with.
        blocks: what `run` pools.
        n_layers: of the model.
        path: its folder, for messages.

    Attributes:
        reuses: keys and values of tokens that were read are kept for those after them. Causal models only.

    Raises:
        RouterUnusable: inner layers are asked for, and the model keeps its layers in no list of `n_layers` modules.
    """

    def __init__(self, model: Any, *, pad: int, blocks: Sequence[Block], n_layers: int, path: str) -> None:
        self.model, self.blocks, self.n_layers = model, tuple(blocks), n_layers
        self.causal = self.reuses = is_causal(model)
        self._base, self._pad, self._device = model.base_model, pad, model.device
        self._shared: _Shared | None = None
        self._modules: dict[int, torch.nn.Module] = {n_layers: self._base}
        if inner := {block.layer for block in blocks} - {n_layers}:
            if model.config.is_encoder_decoder:
                raise RouterUnusable(path, "an encoder-decoder has two stacks of layers; read layer -1 only")
            if (layers := inner_layers(model)) is None:
                raise RouterUnusable(path, f"it has no list of {n_layers} layers to read; read layer -1 only")
            self._modules |= {layer: layers[layer - 1] for layer in sorted(inner)}

    def share(self, beginning: list[int]) -> None:
        """Read what prompts begin with, if that is worth while; rows that begin otherwise are read whole."""
        self._shared = None
        if not self.reuses or len(beginning) < _LEAST_SHARED:
            return
        states: dict[int, Tensor] = {}
        with torch.inference_mode(), self._overheard(states.__setitem__):
            output = self._base(input_ids=self._on_device(torch.tensor([beginning])), use_cache=True)
        self._shared = _Shared(beginning, states, output.cache)

    def stop_reusing(self) -> None:
        """Read every row whole from now on."""
        self.reuses, self._shared = False, None

    def shared_tokens(self, row: Sequence[int]) -> int:
        """How many of a row's tokens were read before."""
        shared = [] if self._shared is None else self._shared.ids
        return len(shared) if len(row) > len(shared) and row[: len(shared)] == shared else 0

    def run(self, rows: list[list[int]], at: Places | None, *, whole: bool = False, keep: bool = False) -> Ran:
        """Read rows of token ids.

        Args:
            rows: at least one, none empty.
            at: where the queries' tokens are in them; None pools nothing.
            whole: run the model with its head; else the base model alone.
            keep: the output holds keys and values, for `go_on`; blocks pooled at the decision are left to it.
        """
        shared = None if whole or not all(map(self.shared_tokens, rows)) else self._shared
        ids, mask = self._padded(rows)
        more: dict[str, Any] = {"use_cache": True} if keep else {}
        if shared is not None:
            more["cache"] = _repeated(shared.cache, len(rows))
            ids = ids[:, len(shared.ids) :]
        if not self.causal or whole:
            more["attention_mask"] = mask
        blocks = [block for block in self.blocks if not (keep and block.pooling == "decision")]
        output, states, vectors = self._heard(ids, at, blocks, shared, self.model if whole else self._base, more)
        return Ran(output, states, vectors, mask)

    def go_on(self, before: Ran, texts: list[tuple[int, ...]], at: Places | None) -> Ran:
        """Read every one of k texts after each of b rows: rows are in order, the texts of one row together.

        Args:
            before: what `run` returned with `keep`; its keys and values are used up.
            texts: token ids; an empty one is padding alone.
            at: where decisions are in these tokens; None pools nothing.
        """
        k, cache = len(texts), before.output.cache
        cache.batch_repeat_interleave(k)
        ids, _ = self._padded([list(text) for text in texts])
        mask = before.mask.repeat_interleave(k, 0)
        # A text goes on where its row's real tokens end, whatever padding lies between.
        position = mask.sum(1, keepdim=True) + torch.arange(ids.shape[1], device=ids.device)
        mask = torch.cat([mask, mask.new_ones(len(mask), ids.shape[1])], dim=1)
        more = {"cache": cache, "attention_mask": mask, "position_ids": position, "use_cache": True}
        blocks = [block for block in self.blocks if block.pooling == "decision"]
        ids = ids.repeat(len(before.mask), 1)
        return Ran(*self._heard(ids, at, blocks, None, self._base, more), mask)

    def _heard(
        self, ids: Tensor, at: Places | None, blocks: list[Block], shared: _Shared | None, model: Any, more: Any
    ) -> tuple[Any, Tensor, dict[str, Tensor]]:
        places = None if at is None else at.to(self._device)
        vectors: dict[str, Tensor] = {}
        last: list[Tensor] = []

        def hear(layer: int, states: Tensor) -> None:
            inner = layer < self.n_layers
            if shared is not None:
                states = torch.cat([shared.states[layer].expand(len(states), -1, -1), states], dim=1)
            if places is not None:
                mine = (block for block in blocks if block.layer == layer)
                vectors.update({block.name: pooled(states, block.pooling, places, inner=inner) for block in mine})
            if not inner:
                last.append(states)

        with self._overheard(hear):
            output = model(input_ids=ids, **more)
        return output, last[-1], vectors

    def _padded(self, rows: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Right-padded ids and mask; right, so that no position shifts."""
        lengths = torch.tensor([len(r) for r in rows])
        ids = torch.full((len(rows), int(lengths.max())), self._pad)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
        mask = torch.arange(ids.shape[1]) < lengths[:, None]
        return self._on_device(ids), self._on_device(mask.long())

    def _on_device(self, tensor: Tensor) -> Tensor:
        # From pinned memory a copy to a GPU runs beside what the GPU computes.
        is_cuda = self._device.type == "cuda"
        return (tensor.pin_memory() if is_cuda else tensor).to(self._device, non_blocking=is_cuda)

    @contextmanager
    def _overheard(self, hear: Any) -> Iterator[None]:
        def hook(layer: int) -> Any:
            return lambda _module, _inputs, output: hear(layer, output if isinstance(output, Tensor) else output[0])

        handles = [module.register_forward_hook(hook(layer)) for layer, module in self._modules.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _repeated(cache: Any, n: int) -> Any:
    """Keys and values of one row, for n rows that go on from it."""
    own = copy.deepcopy(cache)
    own.batch_repeat_interleave(n)
    return own
