"""Rows in batches of a number of tokens: chosen for the device, and halved where its memory is too small for it."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from routecal.calib.checkpoint_errors import RowTooLarge

R = TypeVar("R")

# Two cores read fastest in batches of 512 tokens, which fill their caches and stay in them. More cores get as much
# each, and a GPU, which wants enough rows to be busy, says itself when that is more than it holds: neither is measured.
_TOKENS_PER_CORE, _LEAST_TOKENS, _MOST_TOKENS_OF_CORES = 256, 512, 8192
_TOKENS_OF_ACCELERATOR = 100_000


class TokenBudget:
    """Padded tokens of one batch, at most; a longer row stands alone.

    Args:
        device: that reads.

    Attributes:
        tokens: halved every time the device's memory was too small.
    """

    def __init__(self, device: torch.device) -> None:
        of_cores = min(max(_TOKENS_PER_CORE * (os.cpu_count() or 1), _LEAST_TOKENS), _MOST_TOKENS_OF_CORES)
        self.tokens = of_cores if device.type == "cpu" else _TOKENS_OF_ACCELERATOR
        self._device = device

    def read(
        self,
        work: Callable[[list[int]], R],
        tokens: Sequence[int],
        alike: Sequence[tuple[int, ...] | int] | None = None,
    ) -> Iterator[tuple[list[int], R]]:
        """Batches of row indices and what `work` makes of each; after one that is too large all are smaller.

        Args:
            work: reads the rows of one batch.
            tokens: what each row costs.
            alike: rows of one batch have the same number here; None lets all share.

        Raises:
            RowTooLarge: there is no memory for one row alone.
        """
        left, finished = list(range(len(tokens))), set[int]()
        while left:
            kinds = None if alike is None else [alike[i] for i in left]
            for places in batches([tokens[i] for i in left], kinds, most=self.tokens):
                rows = [left[place] for place in places]
                try:
                    done = work(rows)
                except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                    if not is_memory_short(error):
                        raise
                    if len(rows) == 1:
                        raise RowTooLarge(rows[0], tokens[rows[0]], str(self._device)) from None
                    break
                yield rows, done
                finished.update(rows)
            else:
                return
            # Out of the handler, whose traceback holds on to the tensors of the batch that failed.
            self._halve(len(rows) * max(tokens[i] for i in rows))
            left = [i for i in left if i not in finished]

    def _halve(self, tried: int) -> None:
        self.tokens = max(min(self.tokens, tried) // 2, 1)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def batches(
    tokens: Sequence[int], alike: Sequence[tuple[int, ...] | int] | None = None, *, most: int
) -> Iterator[list[int]]:
    """Row indices, longest first, in groups of at most `most` padded tokens (a longer row stands alone).

    Args:
        tokens: what each row costs.
        alike: rows of one group have the same number here; None lets all share.
        most: padded tokens of a group.

    >>> list(batches([100, 300, 200, 40], most=512))
    [[1], [2, 0], [3]]
    >>> list(batches([100, 90, 80], alike=[1, 2, 1], most=512))
    [[0, 2], [1]]
    """
    kinds = [0] * len(tokens) if alike is None else list(alike)
    rows: list[int] = []
    for i in sorted(range(len(tokens)), key=lambda i: (kinds[i], -tokens[i])):
        if rows and (kinds[i] != kinds[rows[0]] or tokens[rows[0]] * (len(rows) + 1) > most):
            yield rows
            rows = []
        rows.append(i)
    if rows:
        yield rows


def is_memory_short(error: BaseException) -> bool:
    """Whether an error says that a device's memory is used up."""
    # Out of memory on a CPU is an ordinary RuntimeError of torch's allocator.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
