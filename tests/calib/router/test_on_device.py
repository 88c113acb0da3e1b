"""What a router reads on each device, and what it does there when memory runs out; the CPU stands in for a GPU."""

from pathlib import Path
from threading import Thread
from unittest.mock import patch

import numpy as np
import pytest
import torch

from routecal.calib.router.frozen_router import FrozenRouter
from tests.calib.tiny_families import save

QUERIES = [f"Which of {i} bridges is the older one? " * (i % 7 + 1) for i in range(60)]

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
on_every_device = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_GPU])])


@on_every_device
@pytest.mark.parametrize("family", ["gemma3", "bert"])
def test_reads_what_a_cpu_reads(device: str, family: str, tmp_path: Path) -> None:
    save(family, tmp_path)
    right = FrozenRouter(tmp_path, device="cpu", dtype="float32").read(QUERIES)
    found = FrozenRouter(tmp_path, device=device, dtype="float32").read(QUERIES)
    np.testing.assert_allclose(found.hidden, right.hidden, atol=1e-4)
    np.testing.assert_allclose(found.logits, right.logits, atol=1e-4)


@on_every_device
def test_half_the_batch_where_memory_runs_out(device: str, tmp_path: Path) -> None:
    save("llama", tmp_path)
    right = FrozenRouter(tmp_path, device="cpu", dtype="float32").read(QUERIES)
    router = FrozenRouter(tmp_path, device=device, dtype="float32")
    router._budget.tokens, tried, forward = 100_000, list[int](), router._model.base_model.forward

    def in_little_memory(input_ids: torch.Tensor, **more: object) -> object:
        tried.append(len(input_ids))
        if len(input_ids) > 16:
            if device == "cuda":
                torch.empty(2**40, dtype=torch.uint8, device=device)  # the device's own error: none has a terabyte
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(input_ids=input_ids, **more)

    with patch.object(router._model.base_model, "forward", in_little_memory):
        found = router.read(QUERIES)
    assert tried[0] == len(QUERIES)
    assert max(tried[-3:]) <= 16
    np.testing.assert_allclose(found.hidden, right.hidden, atol=1e-4)


@on_every_device
def test_ids_go_to_the_device_from_pinned_memory(device: str, tmp_path: Path) -> None:
    save("llama", tmp_path)
    router = FrozenRouter(tmp_path, device=device)
    with patch.object(torch.Tensor, "pin_memory", autospec=True, side_effect=lambda tensor: tensor) as pinned:
        router.read(QUERIES)
    assert bool(pinned.call_count) == (device == "cuda")


@on_every_device
def test_one_thread_tokenises_while_another_reads(device: str, tmp_path: Path) -> None:
    save("llama", tmp_path)
    router = FrozenRouter(tmp_path, device=device)
    right, made = router.read(QUERIES), list[object]()

    def beside() -> None:
        thread = Thread(target=lambda: made.append(router.tokenised(QUERIES)))
        thread.start()
        thread.join()

    first = router.read(QUERIES, before_batch=beside)
    second = router.read(made[0])  # type: ignore[arg-type]
    np.testing.assert_array_equal(first.hidden, right.hidden)
    np.testing.assert_array_equal(second.hidden, right.hidden)
    assert second.effort.n_tokens == right.effort.n_tokens
    assert second.effort.seconds > 0
