"""What the large model costs more than the medium one on a query, as far as it is known before either answers."""

import math
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, Field

from routecal.calib.checks import FloatArray
from routecal.calib.errors import OutOfRange

# Of the mean: no query costs so little that its gain would count without end.
_LEAST = 0.01


class ExtraCost(BaseModel, frozen=True):
    """Expected extra cost of a query, relative to the mean of all: flat, or growing with the tokens of its prompt.

    >>> ExtraCost()([10, 500]).tolist()
    [1.0, 1.0]
    >>> ExtraCost(flat=0.5, per_token=0.01)([10, 90]).tolist()
    [0.6, 1.4]
    """

    flat: float = Field(default=1.0, ge=0, description="of every query, as a share of the mean extra cost")
    per_token: float = Field(default=0.0, ge=0, description="more for every token of the prompt, as such a share")

    def __call__(self, n_tokens: ArrayLike) -> FloatArray:
        """(n,) at least .01, from prompts of (n,) tokens."""
        cost = self.flat + self.per_token * np.asarray(n_tokens, np.float64)
        return np.asarray(np.maximum(cost, _LEAST))


class Prices(BaseModel, frozen=True):
    """What one answer costs, the same for all queries.

    >>> Prices(medium=1, large=20).extra
    19.0
    """

    medium: float = Field(ge=0, description="of the medium model, in any unit")
    large: float = Field(gt=0, description="of the large model, in the same unit")
    unit: str = Field(default="", description="as reports name it")

    @classmethod
    def of(cls, medium: float, large: float) -> Self:
        """Prices at which there is something to save.

        Raises:
            OutOfRange: a price is negative, or the large model is not the dearer one.

        >>> Prices.of(0, 0.02).extra
        0.02
        """
        if not 0 <= medium < math.inf:
            raise OutOfRange("price of the medium model", medium, "a number of at least 0")
        if not medium < large < math.inf:
            raise OutOfRange("price of the large model", large, f"a number above {medium:g}, the medium model's")
        return cls(medium=medium, large=large)

    @property
    def extra(self) -> float:
        """What the large model costs more."""
        return self.large - self.medium
