"""What the large model costs more on a query, fitted to what was recorded."""

import numpy as np
from numpy.typing import ArrayLike

from routecal.calib.errors import LengthMismatch, OutOfRange, TooFewExamples
from routecal.calib.extra_cost import ExtraCost


def fit_extra_cost(n_tokens: ArrayLike, extra: ArrayLike) -> ExtraCost:
    """The line of least squares through what labelled queries cost more, relative to their mean; never below 0.

    Single queries on which the large model was the cheaper one are averaged out; a price that falls with the length of
    the prompt is taken for flat.

    Args:
        n_tokens: (n,) length of each prompt.
        extra: (n,) recorded cost of the large model minus that of the medium one, in any unit.

    Raises:
        LengthMismatch, TooFewExamples: they differ in length, or there are none.
        OutOfRange: the large model is not the dearer one on the mean.

    >>> found = fit_extra_cost([10, 20, 30], [3.0, 5.0, 7.0])  # 1 + .2 a token, mean 5
    >>> round(found.flat, 3), round(found.per_token, 3), found([20]).round(3).tolist()
    (0.2, 0.04, [1.0])
    """
    x, y = np.asarray(n_tokens, np.float64), np.asarray(extra, np.float64)
    if x.shape != y.shape:
        raise LengthMismatch("n_tokens", x.size, "extra", y.size)
    if not len(y):
        raise TooFewExamples(0, 1)
    mean = float(y.mean())
    if not mean > 0:
        raise OutOfRange("mean extra cost of the large model", mean, "costs by which it is the dearer one")
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred)) if centred.any() else 0.0
    flat = mean - slope * float(x.mean())
    if slope <= 0:
        return ExtraCost()
    if flat < 0:  # the best line through 0, whatever its slope, has a mean of 1 as such
        return ExtraCost(flat=0.0, per_token=1 / float(x.mean()))
    return ExtraCost(flat=flat / mean, per_token=slope / mean)
