"""What every recalibrator is."""

from typing import ClassVar, Protocol

from numpy.typing import ArrayLike

from routecal.calib.checks import FloatArray


class Recalibrator(Protocol):
    """A non-decreasing map of confidences that survives a round trip through JSON (`registry.to_json`)."""

    name: ClassVar[str]

    def __call__(self, p: ArrayLike) -> FloatArray: ...
