"""Batches of a number of tokens, and what becomes of one that the device has no memory for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from routecal.calib.checkpoint_errors import RowTooLarge
from routecal.calib.router.batching import TokenBudget, batches
from routecal.calib.router.frozen_router import FrozenRouter

CPU = torch.device("cpu")
# What torch says where a CPU has no memory; a GPU's is torch.OutOfMemoryError.
ALLOCATOR = RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried")


def reads(most: int, error: BaseException, seen: list[int]) -> Callable[[list[int]], list[int]]:
    """A device with room for `most` rows."""

    def work(rows: list[int]) -> list[int]:
        seen.append(len(rows))
        if len(rows) > most:
            raise error
        return rows

    return work


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), ALLOCATOR])
def test_a_batch_that_is_too_large_is_halved_and_the_next_are_no_larger(error: BaseException) -> None:
    budget, seen = TokenBudget(CPU), list[int]()
    budget.tokens = 800
    done = [(rows, result) for rows, result in budget.read(reads(2, error, seen), [100] * 20)]
    assert sorted(i for rows, _ in done for i in rows) == list(range(20))
    assert all(rows == result for rows, result in done)
    assert budget.tokens == 200
    seen.clear()
    assert len(list(budget.read(reads(2, error, seen), [100] * 20))) == 10
    assert seen == [2] * 10


def test_a_single_row_that_is_too_large_is_named() -> None:
    with pytest.raises(RowTooLarge, match=r"query 1 \(from 0\) takes 900 tokens .* memory of cpu .*--max-tokens"):
        list(TokenBudget(CPU).read(reads(0, MemoryError(), []), [100, 900]))


def test_other_errors_are_nobody_s_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        list(TokenBudget(CPU).read(reads(0, RuntimeError("shapes do not fit"), []), [100, 900]))


def test_a_router_that_runs_out_of_memory_reads_the_same(
    router_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = [f"{i} bridges? " * (i % 5 + 1) for i in range(24)]
    right = FrozenRouter(router_checkpoint).read(queries)
    router = FrozenRouter(router_checkpoint)
    forward = router._model.base_model.forward

    def small(input_ids: torch.Tensor, **more: object) -> object:
        if len(input_ids) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(input_ids=input_ids, **more)

    monkeypatch.setattr(router._model.base_model, "forward", small)
    found = router.read(queries)
    np.testing.assert_array_equal(found.policy, right.policy)
    np.testing.assert_allclose(found.hidden, right.hidden, atol=1e-5)
    assert found.effort.n_tokens == right.effort.n_tokens


@pytest.mark.parametrize("most", [1, 100, 512, 10_000])
def test_batches_hold_every_row_once_and_no_more_tokens_than_allowed(most: int) -> None:
    rng = np.random.default_rng(0)
    tokens, kinds = rng.integers(1, 300, 200).tolist(), rng.integers(0, 3, 200).tolist()
    found = list(batches(tokens, kinds, most=most))
    assert sorted(i for rows in found for i in rows) == list(range(200))
    assert all(len(rows) == 1 or len(rows) * max(tokens[i] for i in rows) <= most for rows in found)
    assert all(len({kinds[i] for i in rows}) == 1 for rows in found)


def test_a_gpu_is_given_more_at_a_time() -> None:
    assert TokenBudget(CPU).tokens >= 512
    assert TokenBudget(torch.device("cuda")).tokens == 100_000
