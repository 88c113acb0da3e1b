"""What reads prompts off a body: one kind for classifiers, one for causal routers."""

from pathlib import Path
from typing import Any

from routecal.calib.router.body import Body
from routecal.calib.router.checkpoint import Kind, label_order
from routecal.calib.router.classifier import Classifier
from routecal.calib.router.pooling import Block
from routecal.calib.router.speaker import Speaker

Reader = Classifier | Speaker
# Text of many kinds, that routers are tried on.
MIXED = "Which of 3 bridges is older: «El Puente», or № 2?\nWhy, and since when?"


def reader_of(path: Path, kind: Kind, tokenizer: Any, model: Any, blocks: tuple[Block, ...], n_rows: int) -> Reader:
    """The reader of a loaded checkpoint.

    Args:
        path: of the checkpoint.
        kind, tokenizer, model: of it, as `checkpoint.load` gives them.
        blocks: what is pooled.
        n_rows: of its embedding.

    Raises:
        RouterUnusable: its labels are not the policies, or it cannot be read for these blocks.
    """
    config = model.config.get_text_config()
    # What rows are filled up with; no real token sees it, so that any id does where none is named.
    pad = next((i for i in (config.pad_token_id, tokenizer.pad_token_id) if i is not None and i < n_rows), 0)
    body = Body(model, pad=pad, blocks=blocks, n_layers=int(config.num_hidden_layers), path=str(path))
    if kind == "causal":
        return Speaker(body, tokenizer)
    return Classifier(body, label_order(path, model), tokenizer.bos_token_id, tokenizer(MIXED)["input_ids"], str(path))
