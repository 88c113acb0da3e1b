"""Which model a query is served by, once everything has had its say, and how probable that was.

Estimates from logs divide by this probability, so it must be that of all that decides: rule, canary, exploration, and
whatever overrides them. Serving, and a simulation of it, call this.
"""

from dataclasses import dataclass

from routecal.calib.errors import OutOfRange


@dataclass(frozen=True)
class Action:
    """What serves a query.

    Attributes:
        large: the large model.
        propensity: probability that this is what serves it, in (0, 1].
        by_canary: the head on trial decided, or would have.
        explored: the model was drawn.
        override: why neither head had a say; empty where one had.
    """

    large: bool
    propensity: float
    by_canary: bool = False
    explored: bool = False
    override: str = ""

    @property
    def served_by(self) -> str:
        """ "large" or "medium"."""
        return "large" if self.large else "medium"


def action(
    large: bool,
    *,
    canary: bool | None = None,
    canary_share: float = 0.0,
    explore: float = 0.0,
    override: str = "",
    draws: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Action:
    """Serve one query.

    Args:
        large: what the serving head asks for, or what an override serves.
        canary: what the head on trial asks for; None where none is tried.
        canary_share: of queries that it decides, in [0, 1].
        explore: share of queries whose model is drawn, each with one half, in [0, 1].
        override: why the query is served as it is, whatever the heads say; nothing is drawn then.
        draws: three numbers drawn uniformly from [0, 1): who decides, whether the model is drawn, and which.

    Raises:
        OutOfRange: a share is none.

    >>> action(True, explore=0.1, draws=(0.5, 0.5, 0.5))
    Action(large=True, propensity=0.95, by_canary=False, explored=False, override='')
    >>> action(True, explore=0.1, draws=(0.5, 0.05, 0.9)).propensity  # the medium model, drawn
    0.05
    >>> action(True, override="no decision").propensity
    1.0
    """
    for name, share in (("canary_share", canary_share), ("explore", explore)):
        if not 0 <= share <= 1:
            raise OutOfRange(name, share, "a share from 0 to 1")
    if override:
        return Action(large, 1.0, override=override)
    trial = large if canary is None else canary
    share = 0.0 if canary is None else canary_share
    p_large = (1 - explore) * ((1 - share) * large + share * trial) + explore / 2
    by_canary, explored = draws[0] < share, draws[1] < explore
    chosen = draws[2] < 0.5 if explored else trial if by_canary else large
    # To twelve decimals: sums of shares in floating point may pass 1 by one bit.
    return Action(chosen, round(p_large if chosen else 1 - p_large, 12), by_canary, explored)
