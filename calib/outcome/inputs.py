"""What the outcome head reads: components of a hidden state, and the router's own outputs beside them."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from routecal.calib.checks import FloatArray
from routecal.calib.components import Reduced, Standard
from routecal.calib.head.head_inputs import as_tensor
from routecal.calib.head.residual_start import router_columns

# Principal components of the standardised state, each at its own scale: strong ones then count for more, and the
# penalty leaves the weak ones nearly out.
COMPONENTS = 160


@dataclass(frozen=True, eq=False)
class OutcomeInputs:
    """From (hidden, logits) to the columns that the head is linear in; nothing of it is learned from outcomes."""

    hidden: Reduced
    router: Standard

    @classmethod
    def of(cls, hidden: NDArray[np.floating], logits: NDArray[np.floating]) -> Self:
        """Components, means and scales of these rows.

        Args:
            hidden: (n, d), n at least 2.
            logits: (n, c) of the router.
        """
        return cls(Reduced.of(hidden, n_components=COMPONENTS), Standard.of(_router(logits)))

    def __call__(self, hidden: NDArray[np.floating], logits: NDArray[np.floating]) -> FloatArray:
        """(n, components + 2 + 2c) float64."""
        return np.hstack([self.hidden(hidden), self.router(_router(logits))])


def _router(logits: NDArray[np.floating]) -> FloatArray:
    return np.asarray(router_columns(as_tensor(logits)).numpy())
