"""What decides which queries the large model serves, as parameters; and those of `threshold`, for trained heads."""

from typing import ClassVar

from pydantic import Field

from routecal.calib.settings import EscalationTerms
from routecal.flows.form import Params


class EscalationParams(Params, EscalationTerms):
    """What answers cost, where labels do not say, and what decides which queries the large model serves."""

    GROUP: ClassVar[str] = "money"

    @property
    def terms(self) -> EscalationTerms:
        """All of it."""
        return EscalationTerms(**self.model_dump(include=set(EscalationTerms.model_fields)))


class ThresholdParams(EscalationParams):
    """Choose another threshold for trained heads: by a promise, a budget, a call rate or the worth of an answer."""

    EXAMPLE: ClassVar[str] = "--risk kept --at-most 0.05 --with 0.95"
    FIRST: ClassVar[tuple[str, ...]] = (
        *("risk", "at_most", "probability", "budget", "call_rate", "answer_value", "run", "output_dir"),
        *("medium_price", "large_price", "price_unit"),
    )
    GROUP: ClassVar[str] = "inputs"

    run: str | None = Field(
        default=None,
        description="Id of the run whose heads and predictions these are, as the names in artifacts/runs have it. "
        "Default: the newest with joint outcomes.",
    )
    output_dir: str | None = Field(
        default=None,
        description="Folder that the packed router is copied to as well, with the new threshold. Default: none; it is "
        "an artifact.",
    )
