"""Nothing at all: the candidate that every other recalibrator has to beat."""

from dataclasses import dataclass
from typing import ClassVar

from numpy.typing import ArrayLike

from routecal.calib.checks import FloatArray, checked, checked_p


@dataclass(frozen=True)
class Identity:
    """p as it is.

    >>> Identity()([0.25]).tolist()
    [0.25]
    """

    name: ClassVar[str] = "identity"

    def __call__(self, p: ArrayLike) -> FloatArray:
        return checked_p(p)


def fit_identity(p: ArrayLike, y: ArrayLike) -> Identity:
    """No fit; (p, y) are only checked."""
    checked(p, y)
    return Identity()
