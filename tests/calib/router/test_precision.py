"""A router in half precision is compared with itself in float32 when it is opened, and is what it was afterwards."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from routecal.calib.router import checkpoint, precision
from routecal.calib.router.frozen_router import FrozenRouter
from tests.calib.tiny_families import save

PROMPTS = [[5, 6, 7], [8, 9, 10, 11, 12, 13]]


@pytest.fixture
def halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU that reads in the dtype that is asked for, as a GPU does."""
    monkeypatch.setattr(checkpoint, "native_dtype", lambda dtype, device: dtype)


def bits(router: FrozenRouter) -> dict[str, torch.Tensor]:
    tensors = [*router._model.named_parameters(), *router._model.named_buffers()]
    return {name: tensor.detach().clone() for name, tensor in tensors}


def wrong_in_half(module: torch.nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
    return output * 3 if output.dtype is torch.bfloat16 else output


@pytest.mark.usefixtures("halves")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt2", "bert"])
def test_rounding_is_not_spoken_of_and_no_bit_changes(
    family: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    save(family, tmp_path)
    with monkeypatch.context() as unchecked:
        unchecked.setattr("routecal.calib.router.frozen_router.check_precision", lambda *_: None)
        before = bits(FrozenRouter(tmp_path, dtype=dtype))
    with caplog.at_level(logging.WARNING):
        router = FrozenRouter(tmp_path, dtype=dtype)
    after = bits(router)
    assert caplog.messages == []
    assert router.schema["dtype"] == dtype
    assert {str(t.dtype) for t in after.values()} >= {f"torch.{dtype}"}
    assert before.keys() == after.keys()
    assert all(before[name].dtype == after[name].dtype and before[name].equal(after[name]) for name in before)


@pytest.mark.usefixtures("halves")
def test_a_device_that_computes_halves_wrongly_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save("llama", tmp_path)
    router = FrozenRouter(tmp_path, dtype="bfloat16")
    router._model.score.register_forward_hook(wrong_in_half)
    with caplog.at_level(logging.WARNING):
        precision.check_precision("here", router._model, router.reader, PROMPTS)
    (said,) = caplog.messages
    assert said.startswith("in bfloat16 the router's logits differ from those in float32 by up to ")
    assert said.endswith("which is more than rounding; read it with --dtype float32")


@pytest.mark.usefixtures("halves")
def test_without_room_for_float32_it_is_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @contextmanager
    def no_room(_model: object) -> Iterator[None]:
        raise torch.OutOfMemoryError("CUDA out of memory")
        yield

    save("llama", tmp_path)
    router = FrozenRouter(tmp_path, dtype="bfloat16")
    router._model.score.register_forward_hook(wrong_in_half)
    monkeypatch.setattr(precision, "_in_float32", no_room)
    with caplog.at_level(logging.WARNING):
        precision.check_precision("here", router._model, router.reader, PROMPTS)
    assert caplog.messages == []


@pytest.mark.usefixtures("halves")
def test_another_error_is_not_taken_for_want_of_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save("llama", tmp_path)
    router = FrozenRouter(tmp_path, dtype="bfloat16")
    before = bits(router)

    def fails(_module: object, _inputs: object, output: torch.Tensor) -> None:
        if output.dtype is torch.float32:
            raise RuntimeError("shapes do not fit")

    router._model.score.register_forward_hook(fails)
    with pytest.raises(RuntimeError, match="shapes"):
        precision.check_precision("here", router._model, router.reader, PROMPTS)
    assert all(tensor.equal(before[name]) for name, tensor in bits(router).items())
