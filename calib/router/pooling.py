"""Hidden states as blocks: one vector per query for every layer and pooling that was asked for.

A pooling makes one vector of the states of a prompt's tokens:

- `last`: the state that the router decides by: of a causal model, the one at the prompt's last token. A classifier's
  head reads what its architecture says: the last token that is not padding (decoders), the first (BERT, RoBERTa, MPNet,
  DeBERTa), the last end-of-sequence token (BART), or the mean over all tokens (ModernBERT, if its config says so);
- `mean`: the mean over the prompt's tokens. A leading token that begins every text is left out: in a causal model its
  state is the same for all queries, and its activations are a thousand times the others' (Sun et al. 2024,
  "Massive Activations in Large Language Models", arXiv:2402.17762);
- `decision`: the state at the token that holds the decision. A causal router *says* its decision: it is the first
  token of the policy name it chose, the one after the prompt. A classifier says nothing: there it is the same vector as
  `last`, stored once.

Layers count from 1; the last one is taken after the model's final norm, as its head reads it. Inner layers are taken
as the next layer reads them, divided by their root mean square: so a mean over tokens is not one over the loudest
token, and float16 holds them, which it does not hold the raw residual stream of every model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self, get_args

import torch
from torch import Tensor

from routecal.calib.errors import UnknownName
from routecal.calib.settings import Pooling

POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

# The block that every extraction holds: last layer, the state that the router decides by.
DEFAULT = "hidden"


@dataclass(frozen=True)
class Block:
    """One layer under one pooling.

    Attributes:
        layer: 1 … n_layers.
        pooling: one of `POOLINGS`.
        name: `hidden_L12_mean`; the last layer's `last` is called `hidden`.
    """

    layer: int
    pooling: Pooling
    name: str


def blocks_of(layers: Sequence[int], poolings: Sequence[str], n_layers: int) -> tuple[Block, ...]:
    """Every layer under every pooling, each once, the default block first.

    Args:
        layers: 1 … n_layers, or from the end: -1 is the last, -n_layers the first.
        poolings: of `POOLINGS`.
        n_layers: of the model.

    Raises:
        UnknownName: there is no such layer, or no such pooling.

    >>> [block.name for block in blocks_of([6, -1], ["last", "mean"], 18)]
    ['hidden', 'hidden_L6_last', 'hidden_L6_mean', 'hidden_L18_mean']
    """
    for pooling in poolings:
        if pooling not in POOLINGS:
            raise UnknownName("pooling", pooling, POOLINGS)
    found = {DEFAULT: Block(n_layers, "last", DEFAULT)}
    for layer in layers:
        if not 1 <= abs(layer) <= n_layers:
            raise UnknownName("layer of this router", str(layer), (f"1 … {n_layers}", f"-1 … -{n_layers}"))
        index = layer if layer > 0 else n_layers + 1 + layer
        for pooling in POOLINGS:
            name = DEFAULT if (index, pooling) == (n_layers, "last") else f"hidden_L{index}_{pooling}"
            if pooling in poolings:
                found[name] = Block(index, pooling, name)
    return tuple(found.values())


def middle_layer(n_layers: int) -> int:
    """Half of the way up: what the outcome head reads where nobody says otherwise.

    The last layers are about the router's own decision; which model will be right is told better by the middle: area
    over random of layers 9, 12, 15 and 18 of 18 in LOG.md, 2026-11-29.

    >>> middle_layer(18), middle_layer(26), middle_layer(1)
    (9, 13, 1)
    """
    return (n_layers + 1) // 2


@dataclass(frozen=True)
class Places:
    """Where in a padded batch the tokens of b queries are.

    Attributes:
        row: (b,) batch row that holds the query's prompt.
        first, last: (b,) tokens that a mean counts, both included.
        read_first, read_last: (b,) tokens that the router decides by, both included: one, or all it takes the mean of.
        decision_row, decision: (b, k) row and token of every decision that may turn out to be the query's.
    """

    row: Tensor
    first: Tensor
    last: Tensor
    read_first: Tensor
    read_last: Tensor
    decision_row: Tensor
    decision: Tensor

    def decided(self, row: Tensor, token: Tensor) -> Self:
        """The same places with decisions at these (b, k)."""
        return replace(self, decision_row=row, decision=token)

    def to(self, device: torch.device) -> Self:
        """The same places, on a device."""
        return type(self)(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def first_counted(prompts: Sequence[Sequence[int]], opening: int | None) -> Tensor:
    """(b,) first token of each prompt that a mean counts: the second, where all begin with the `opening` one."""
    return torch.tensor([int(len(p) > 1 and p[0] == opening) for p in prompts])


def pooled(states: Tensor, pooling: Pooling, at: Places, *, inner: bool) -> Tensor:
    """(b, k, d) float32 from states (rows, tokens, d); k = 1 but for `decision`.

    Args:
        states: of one layer.
        pooling: of `POOLINGS`.
        at: where the tokens are.
        inner: divide every state by its root mean square.
    """
    if pooling == "decision":
        return _scaled(states[at.decision_row, at.decision], inner=inner)
    if pooling == "last" and torch.equal(at.read_first, at.read_last):
        return _scaled(states[at.row, at.read_last], inner=inner)[:, None]
    first, last = (at.read_first, at.read_last) if pooling == "last" else (at.first, at.last)
    position = torch.arange(states.shape[1], device=states.device)
    counts = ((position >= first[:, None]) & (position <= last[:, None])).float()
    total = torch.einsum("bt,btd->bd", counts, _scaled(states[at.row], inner=inner))
    return (total / counts.sum(1, keepdim=True))[:, None]


def _scaled(states: Tensor, *, inner: bool) -> Tensor:
    states = states.float()
    return states * states.square().mean(-1, keepdim=True).clamp_min(1e-12).rsqrt() if inner else states
