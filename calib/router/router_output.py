"""What a frozen router makes of queries."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from routecal.calib.router.effort import Effort


@dataclass(frozen=True)
class RouterOutput:
    """What the router made of n queries, in their order.

    Attributes:
        policy: (n,) int64, index into `POLICIES` of the largest logit.
        logits: (n, 3) float32, in the order of `POLICIES`.
        hidden: (n, d) float32, last layer, the token that the router decides by.
        n_tokens: (n,) int32, prompt tokens read.
        truncated: (n,) bool, whether the prompt was longer than what is read and lost its middle part.
        blocks: (n, d) float32 by block name, `hidden` among them.
        verbal: (n,) float32 in [0, 1], the router's P(True) on its own decision; None where it was not asked.
        effort: what it took.
    """

    policy: NDArray[np.int64]
    logits: NDArray[np.float32]
    hidden: NDArray[np.float32]
    n_tokens: NDArray[np.int32]
    truncated: NDArray[np.bool_]
    blocks: dict[str, NDArray[np.float32]]
    verbal: NDArray[np.float32] | None = None
    effort: Effort = field(default_factory=Effort)
