"""Does a router read queries as a gateway that knows its checkpoint as a chat model?"""

from typing import NamedTuple

import numpy as np

from routecal.calib.checks import FloatArray
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.calib.router.prompt_tokens import chat_template, chat_text
from routecal.calib.router.reader import MIXED

# Blanks around a query are none of them: chat templates strip those, and a template here keeps them.
_TRIED = ("Hi", MIXED, "def f(x):\n    return 2 * x")


class ChatReading(NamedTuple):
    """What such a gateway has to know of a router.

    Attributes:
        template: of prompts that are the gateway's; None where the checkpoint has no chat template, or none can be.
        is_same: the router's own prompts are the gateway's, and it decides by their last token.
        weights: (3, d) of its logits, in the order of `POLICIES`, where they are linear in that token's state of the
            last layer; None where they are not.
        intercepts: (3,).
    """

    template: str | None
    is_same: bool
    weights: FloatArray | None
    intercepts: FloatArray | None


def chat_reading_of(router: FrozenRouter) -> ChatReading:
    """See `ChatReading`; a few unlike texts are tried."""
    template, is_same = chat_template(router.tokenizer), False
    if template is not None:
        own = [prompt.ids for prompt in router.tokenised(_TRIED).prompts]
        is_same = own == router.tokenizer([chat_text(router.tokenizer, text) for text in _TRIED])["input_ids"]
        is_same &= own[0][-1] != router.reader.body.model.config.get_text_config().pad_token_id
    if router.reader.score is None:
        return ChatReading(template, is_same, None, None)
    weights, intercepts = (np.asarray(part.double().cpu().numpy()) for part in router.reader.score)
    return ChatReading(template, is_same, weights, intercepts)
