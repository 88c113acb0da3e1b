"""Isotonic regression: any increasing curve; needs very many rows."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from routecal.calib.checks import FloatArray, checked, checked_p


@dataclass(frozen=True)
class Isotonic:
    """Straight lines between the points (x, q), flat beyond them; non-decreasing.

    Zadrozny & Elkan 2002 (KDD). Below some 10,000 rows it does more harm than good, and it makes ties, which change
    AUROC: rank by the confidence before it.

    >>> Isotonic(x=(0.2, 0.8), q=(0.3, 0.5))([0.0, 0.5, 1.0]).round(4).tolist()
    [0.3, 0.4, 0.5]
    """

    x: tuple[float, ...]
    q: tuple[float, ...]
    name: ClassVar[str] = "isotonic"

    def __call__(self, p: ArrayLike) -> FloatArray:
        return np.interp(checked_p(p), self.x, self.q)


def fit_isotonic(p: ArrayLike, y: ArrayLike) -> Isotonic:
    """The non-decreasing curve of least squared error, by scikit-learn, within [1/(n+2), 1 - 1/(n+2)].

    Unbounded it says exactly 0 and 1 at the ends, an infinite log loss at the first surprise. The bounds are Laplace's
    rule of succession for n rows of one class.

    >>> fit_isotonic([0.2, 0.8], [0, 1]).q
    (0.25, 0.75)
    """
    from sklearn.isotonic import IsotonicRegression

    p, y = checked(p, y)
    bound = 1 / (len(p) + 2)
    fitted = IsotonicRegression(y_min=bound, y_max=1 - bound).fit(p, y)
    return Isotonic(tuple(fitted.X_thresholds_.tolist()), tuple(fitted.y_thresholds_.tolist()))
