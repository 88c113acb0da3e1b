"""A router in half precision reads as it does in float32: tried on two rows when it is loaded.

Half precision rounds; it should not decide otherwise. What makes it do so, a state beyond float16's largest number, a
kernel that is wrong on this device, shows on any text.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from routecal.calib.router.batch_invariance import tolerance
from routecal.calib.router.batching import is_memory_short
from routecal.calib.router.reader import Reader

logger = logging.getLogger(__name__)

HALVES = (torch.float16, torch.bfloat16)


def check_precision(path: str, model: Any, reader: Reader, prompts: list[list[int]]) -> None:
    """Warn where logits in half precision are not those in float32, but for rounding; nothing to do in float32.

    Args:
        path: of the checkpoint, for messages.
        model: the router's; its weights are float32 for a moment, and then to the bit what they were.
        reader: of the router.
        prompts: token ids of the rows to try.
    """
    if model.dtype not in HALVES:
        return
    with torch.inference_mode():
        half = torch.stack([reader.own(prompt).float().cpu() for prompt in prompts])
        try:
            with _in_float32(model):
                exact = torch.stack([reader.own(prompt).float().cpu() for prompt in prompts])
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not is_memory_short(error):
                raise
            # Nothing is wrong with a router for which there is room in half precision alone.
            logger.debug("%s is not compared with itself in float32: %s", path, error)
            return
    if not (apart := (half - exact).abs().max()) <= tolerance(exact, model.dtype):
        logger.warning(
            "in %s the router's logits differ from those in float32 by up to %.3g, which is more than rounding; "
            "read it with --dtype float32",
            str(model.dtype).removeprefix("torch."),
            apart,
        )


@contextmanager
def _in_float32(model: Any) -> Iterator[None]:
    # Every half is a float32 as well, so that the way back changes no bit. What is float32 already stays out of it.
    halves = [(t, t.data) for t in (*model.parameters(), *model.buffers()) if t.dtype in HALVES]
    try:
        for tensor, data in halves:
            tensor.data = data.float()
        yield
    finally:
        for tensor, data in halves:
            tensor.data = data
