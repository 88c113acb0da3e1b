"""The body of a frozen router: its network run on a batch of token ids, blocks pooled while it runs, and its window.

Made for two cores. A causal model gets no attention mask: rows are padded on the right, where causal attention cannot
look, so the states of real tokens are the same without one and cheaper. States of inner layers are pooled by a hook as
soon as they are computed, so no more than the pooled vectors stay in memory.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from routecal.calib.checkpoint_errors import RouterUnusable
from routecal.calib.router.pooling import Block, Places, pooled

# Rows are batched by this many tokens: enough to fill two cores' caches, small enough to stay in them.
TOKENS_PER_BATCH = 512


class Ran(NamedTuple):
    """One batch that was read.

    Attributes:
        output: the model's.
        states: (rows, tokens, d) of the last layer.
        vectors: (b, k, d) float32 for every block; k = 1 but for those pooled at the decision.
    """

    output: Any
    states: Tensor
    vectors: dict[str, Tensor]


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

    Raises:
        RouterUnusable: inner layers are asked for, and the model keeps its layers in no list of `n_layers` modules.
    """

    def __init__(self, model: Any, *, pad: int, blocks: Sequence[Block], n_layers: int, path: str) -> None:
        self.model, self.blocks, self.n_layers = model, tuple(blocks), n_layers
        self.causal = is_causal(model)
        self._base, self._pad, self._device = model.base_model, pad, model.device
        self._modules: dict[int, torch.nn.Module] = {n_layers: self._base}
        if inner := {block.layer for block in blocks} - {n_layers}:
            if model.config.is_encoder_decoder:
                raise RouterUnusable(path, "an encoder-decoder has two stacks of layers; read layer -1 only")
            if (layers := inner_layers(model)) is None:
                raise RouterUnusable(path, f"it has no list of {n_layers} layers to read; read layer -1 only")
            self._modules |= {layer: layers[layer - 1] for layer in sorted(inner)}

    def run(self, rows: list[list[int]], at: Places | None, *, whole: bool = False) -> Ran:
        """Read rows of token ids.

        Args:
            rows: at least one, none empty.
            at: where the queries' tokens are in them; None pools nothing.
            whole: run the model with its head; else the base model alone.
        """
        ids, mask = self._padded(rows)
        places = None if at is None else at.to(self._device)
        vectors: dict[str, Tensor] = {}
        last: list[Tensor] = []

        def hear(layer: int, states: Tensor) -> None:
            inner = layer < self.n_layers
            if places is not None:
                mine = (block for block in self.blocks if block.layer == layer)
                vectors.update({block.name: pooled(states, block.pooling, places, inner=inner) for block in mine})
            if not inner:
                last.append(states)

        with self._overheard(hear):
            model = self.model if whole else self._base
            output = model(input_ids=ids) if self.causal and not whole else model(input_ids=ids, attention_mask=mask)
        return Ran(output, last[-1], vectors)

    def _padded(self, rows: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Right-padded ids and mask; right, so that no position shifts."""
        lengths = torch.tensor([len(r) for r in rows])
        ids = torch.full((len(rows), int(lengths.max())), self._pad)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
        mask = torch.arange(ids.shape[1]) < lengths[:, None]
        return ids.to(self._device), mask.long().to(self._device)

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


def batches(tokens: Sequence[int], alike: Sequence[int] | None = None) -> Iterator[list[int]]:
    """Row indices, longest first, in groups of at most TOKENS_PER_BATCH padded tokens (a longer row stands alone).

    Args:
        tokens: what each row costs.
        alike: rows of one group have the same number here; None lets all share.

    >>> list(batches([100, 300, 200, 40]))
    [[1], [2, 0], [3]]
    >>> list(batches([100, 90, 80], alike=[1, 2, 1]))
    [[0, 2], [1]]
    """
    kinds = [0] * len(tokens) if alike is None else alike
    rows: list[int] = []
    for i in sorted(range(len(tokens)), key=lambda i: (kinds[i], -tokens[i])):
        if rows and (kinds[i] != kinds[rows[0]] or tokens[rows[0]] * (len(rows) + 1) > TOKENS_PER_BATCH):
            yield rows
            rows = []
        rows.append(i)
    if rows:
        yield rows


def window_of(path: str, model: Any, tokenizer: Any, wanted: int | None) -> int:
    """Tokens that can be read: the least of what is wanted and of what config, tokenizer and position table allow.

    Raises:
        RouterUnusable: that is no window.
    """
    config = model.config.get_text_config()
    said = (wanted, getattr(config, "max_position_embeddings", None), tokenizer.model_max_length)
    window = min(int(w) for w in (*said, learned_positions(model)) if w is not None)
    if window < 1:
        raise RouterUnusable(
            path,
            f"{config.model_type} names a window of {window} tokens; give a decoder (as Gemma, Llama, Qwen) or an "
            "encoder (as BERT, RoBERTa, DeBERTa, ModernBERT), and a tokenizer with a positive model_max_length",
        )
    return window


def learned_positions(model: Any) -> int | None:
    """Tokens that the model's table of learned positions has room for; None where positions are computed.

    A table with a padding index (RoBERTa's, MPNet's) keeps the rows up to it for padding; some classes skip `offset`
    rows.
    """
    sizes = [
        module.num_embeddings - int(getattr(module, "offset", 0)) - (-1 if (i := module.padding_idx) is None else i) - 1
        for name, module in model.base_model.named_modules()
        if isinstance(module, torch.nn.Embedding) and ("position" in name or name.rpartition(".")[2] == "wpe")
    ]
    return min(sizes, default=None)


def sliding_window(model: Any) -> float:
    """Tokens that a token of the nearest-sighted layer looks back at; infinity where every layer sees all."""
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None)
    width = getattr(config, "sliding_window", None)
    if width is None or (kinds is not None and all(kind == "full_attention" for kind in kinds)):
        return float("inf")
    return float(width)
