"""Whether the model that did not serve a query answers it too, unseen, so that both answers can be graded."""

from dataclasses import dataclass

from routecal.calib.errors import OutOfRange


@dataclass(frozen=True)
class SecondAnswer:
    """A draw.

    Attributes:
        is_asked: the other model answers too.
        propensity: probability that it does, in [0, 1].
    """

    is_asked: bool
    propensity: float


def second_answer(served_large: bool, *, of_escalated: float, of_kept: float, draw: float) -> SecondAnswer:
    """Draw for one query.

    Args:
        served_large: the large model served it; then the medium one, which costs little, is the other.
        of_escalated: share of queries served by the large model that the medium one answers too, in [0, 1].
        of_kept: share of those served by the medium model that the large one answers too.
        draw: a number drawn uniformly from [0, 1), which nothing else depends on.

    Raises:
        OutOfRange: a share is none.

    >>> second_answer(True, of_escalated=1.0, of_kept=0.02, draw=0.5)
    SecondAnswer(is_asked=True, propensity=1.0)
    >>> second_answer(False, of_escalated=1.0, of_kept=0.02, draw=0.5).is_asked
    False
    """
    for name, share in (("of_escalated", of_escalated), ("of_kept", of_kept)):
        if not 0 <= share <= 1:
            raise OutOfRange(name, share, "a share from 0 to 1")
    share = of_escalated if served_large else of_kept
    return SecondAnswer(draw < share, share)
