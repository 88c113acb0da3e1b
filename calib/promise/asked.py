"""What is asked of a threshold. Apart from what carries it out, so that serving loads no statistics for it."""

from pydantic import BaseModel, ConfigDict, Field

from routecal.calib.promise.wording import risk_in_words
from routecal.calib.settings import Risk


class Promise(BaseModel):
    """At most so much risk, with such a probability over the draw of the labelled queries."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    risk: Risk = Field(
        description="What is bounded. loss: quality lost against sending all to the large model. harm: share of all "
        "queries that the medium model answers wrong and the large one would not. kept: of the queries kept on the "
        "medium model, the share whose true policy the map sends to the large one."
    )
    at_most: float = Field(
        gt=0,
        lt=1,
        description="Level of the risk, as a share of queries: 0.01 is one point, or 1 %. Raise it to save more.",
    )
    probability: float | None = Field(
        default=0.95,
        ge=0.5,
        lt=1,
        description="Probability that it holds on new queries. None bounds harm on average only, over many draws of "
        "labels, so nothing is promised of this one.",
    )

    @property
    def delta(self) -> float:
        """1 - probability: how often the promise may fail; .5 where it is on average only."""
        return 0.5 if self.probability is None else round(1 - self.probability, 12)

    def __str__(self) -> str:
        """Without the rows that it was made from: "at most 1 point of quality lost against all-large, with 95 %"."""
        words = risk_in_words(self.risk, self.at_most)
        return f"on average {words}" if self.probability is None else f"{words}, with {100 * self.probability:g} %"
