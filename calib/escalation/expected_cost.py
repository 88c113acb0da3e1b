"""What the large model costs more on a query, as expected before either model answers."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, Field

from routecal.calib.checks import FloatArray
from routecal.calib.errors import LengthMismatch, OutOfRange, TooFewExamples


class ExpectedCost(BaseModel, frozen=True):
    """Extra cost by the length of the prompt: intercept + slope * tokens, relative to its mean over labelled rows.

    Being relative, it stays what it is when both prices change by one factor; a threshold of need does too.
    """

    intercept: float = Field(default=1.0, ge=0, description="of a prompt without a token; 1 where all cost the same")
    slope: float = Field(default=0.0, ge=0, description="of every token of the prompt")
    mean: float = Field(gt=0, description="mean extra cost of the labelled rows, in the unit of the prices")

    def __call__(self, n_tokens: ArrayLike) -> FloatArray:
        """(n,) relative extra cost of prompts of (n,) tokens, above 0."""
        return np.asarray(self.intercept + self.slope * np.maximum(np.asarray(n_tokens, np.float64), 1.0))

    @classmethod
    def of(cls, n_tokens: ArrayLike, extra: ArrayLike) -> Self:
        """The line of least squares through what labelled queries cost more, neither of its parts below 0.

        Single queries on which the large model was the cheaper one are averaged out; a price that falls with the
        length of the prompt is taken for flat.

        Args:
            n_tokens: (n,) length of each prompt.
            extra: (n,) recorded cost of the large model minus that of the medium one.

        Raises:
            LengthMismatch, TooFewExamples: they differ in length, or there are none.
            OutOfRange: the large model is not the dearer one on the mean.

        >>> found = ExpectedCost.of([10, 20, 30], [3.0, 5.0, 7.0])  # 1 + .2 a token, mean 5
        >>> round(found.intercept, 3), round(found.slope, 3), found.mean, found([20]).round(3).tolist()
        (0.2, 0.04, 5.0, [1.0])
        """
        x, y = np.maximum(np.asarray(n_tokens, np.float64), 1.0), np.asarray(extra, np.float64)
        if x.shape != y.shape:
            raise LengthMismatch("n_tokens", x.size, "extra", y.size)
        if not len(y):
            raise TooFewExamples(0, 1)
        mean = float(y.mean())
        if not mean > 0:
            raise OutOfRange("mean extra cost of the large model", mean, "a large model that is the dearer one")
        centred = x - x.mean()
        slope = float(centred @ y / (centred @ centred)) if centred.any() else 0.0
        intercept = mean - slope * float(x.mean())
        if slope <= 0:
            intercept, slope = mean, 0.0
        elif intercept < 0:
            intercept, slope = 0.0, float(x @ y / (x @ x))
        fitted = intercept + slope * float(x.mean())
        return cls(intercept=intercept / fitted, slope=slope / fitted, mean=mean)
