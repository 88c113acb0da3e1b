"""What reading queries took: tokens, padding, time, and the share of what the machine's matrix products could do."""

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import torch

# Shapes of a small model's products: rows x in x out. The best of them is the ceiling.
_SHAPES = ((2048, 640, 2048), (2048, 2048, 640))
_ROUNDS = 3


@dataclass(frozen=True)
class Effort:
    """Sums over queries that were read.

    Attributes:
        n_tokens: of all prompts, each once.
        n_read: tokens that the model computed, padding not counted; fewer than `n_tokens` where prompts begin alike.
        n_padded: the same with padding.
        flops: floating-point operations that the `n_read` tokens need.
        seconds: tokenising, reading and pooling.
    """

    n_tokens: int = 0
    n_read: int = 0
    n_padded: int = 0
    flops: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: "Effort") -> Self:
        mine, theirs = vars(self), vars(other)
        return type(self)(**{name: mine[name] + theirs[name] for name in mine})

    def sentence(self, ceiling: float) -> str:
        """For people: speed, padding, and the share of `ceiling` (FLOP/s).

        >>> Effort(n_tokens=1000, n_read=900, n_padded=1000, flops=5e9, seconds=0.5).sentence(2e10)
        '2,000 tokens/s, 10 % of them padding, 50 % of the matrix ceiling (20 GFLOP/s)'
        """
        if not self.seconds:
            return "nothing was read"
        padding = 1 - self.n_read / self.n_padded
        share = self.flops / self.seconds / ceiling
        speed = f"{self.n_tokens / self.seconds:,.0f} tokens/s, {padding:.0%} of them padding"
        return f"{speed}, {share:.0%} of the matrix ceiling ({ceiling / 1e9:,.0f} GFLOP/s)".replace("%", " %")


class Operations:
    """Floating-point operations of a forward pass: 2 for every weight of a linear layer and token, and attention.

    Attention at position t of a causal model multiplies with t keys and t values; of others, with all of the row's.

    Args:
        model: a transformers model; what its head does is not counted.
        causal: a token sees those before it alone.
    """

    def __init__(self, model: Any, *, causal: bool) -> None:
        config = model.config.get_text_config()
        # A pooler (BERT's) sees one token of a row.
        linear = (m for name, m in model.base_model.named_modules() if _is_linear(m) and "pooler" not in name)
        self._per_token = 2.0 * sum(int(m.weight.numel()) for m in linear)
        heads = int(getattr(config, "num_attention_heads", 0) or 0)
        width = int(getattr(config, "head_dim", None) or (config.hidden_size // heads if heads else 0))
        self._per_pair = 4.0 * heads * width * int(config.num_hidden_layers) * (0.5 if causal else 1.0)

    def of(self, n_tokens: int, n_before: int = 0) -> float:
        """Of a row's `n_tokens`, after `n_before` that were read before."""
        end = n_tokens + n_before
        return self._per_token * n_tokens + self._per_pair * (end * end - n_before * n_before)


@lru_cache(maxsize=4)
def matrix_ceiling(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of the fastest of a few plain matrix products: what no model of that dtype can pass here.

    32 GFLOP in all, once per process.
    """
    best = 0.0
    for rows, n_in, n_out in _SHAPES:
        a = torch.ones(rows, n_in, device=device, dtype=dtype)
        b = torch.ones(n_in, n_out, device=device, dtype=dtype)
        for _ in range(_ROUNDS):
            _finish(device)
            began = time.perf_counter()
            torch.mm(a, b)
            _finish(device)
            best = max(best, 2.0 * rows * n_in * n_out / (time.perf_counter() - began))
    return best


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _is_linear(module: torch.nn.Module) -> bool:
    # GPT-2's is a class of its own.
    return isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D"
