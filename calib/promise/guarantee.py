"""A promise that was made: on which rows, at which threshold, bound to what. Void when any of that changes."""

import math
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from routecal.calib.need import Threshold
from routecal.calib.policy import DEFAULT_MAP
from routecal.calib.promise.asked import Promise
from routecal.calib.promise.wording import counted

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

# What each hash is of, as a sentence names it; in the order in which they are compared.
_NAMES = {
    "head": "head",
    "router": "router",
    "template": "prompt template",
    "needs": "needs of the labelled queries",
    "labels": "labels",
    "prices": "prices",
    "policy_map": "policy map",
}


class Bound(BaseModel):
    """sha256 of everything that a promise rests on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: Sha256 = Field(description="weights and configuration of the head")
    router: Sha256 = Field(description="weights of the router")
    template: Sha256 = Field(description="prompt that the router reads a query in")
    needs: Sha256 = Field(description="needs of the labelled queries: the thresholds that were walked along")
    labels: Sha256 = Field(description="true policies and grades of the same queries")
    prices: Sha256 = Field(description="prices that the needs were made with")
    policy_map: Sha256 = Field(
        default=DEFAULT_MAP.sha256, description="which model serves which policy; the default map where none was known"
    )


class Guarantee(BaseModel):
    """A promise as it was made.

    As JSON it comes back to the last bit: numbers are written in full, and the threshold at which nothing is kept as
    the text "-Infinity", since JSON has no such number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    promise: Promise = Field(description="risk, level and probability")
    n: int = Field(ge=1, description="labelled queries that it was made from")
    threshold: Threshold = Field(
        ge=-math.inf, description="a query that needs the large model at most so much stays on the medium one"
    )
    kept: float = Field(ge=0, le=1, description="share of the labelled queries that do")
    bound: Bound = Field(description="what it rests on")
    made_at: AwareDatetime = Field(description="when it was made, in UTC")

    @field_validator("made_at")
    @classmethod
    def _in_utc(cls, made_at: datetime) -> datetime:
        return made_at.astimezone(UTC)

    @field_validator("promise")
    @classmethod
    def _promises_something(cls, promise: Promise) -> Promise:
        if promise.probability is None:
            raise ValueError("a bound on average is no guarantee: give a probability from .5 to 1")
        return promise

    def __str__(self) -> str:
        """ "At most 1 point of quality lost against all-large, with 95 % over the draw of 1,540 labels"."""
        said = f"{self.promise} over the draw of {counted(self.n, 'label', 'labels')}"
        return said[0].upper() + said[1:]

    def void_because(self, now: Bound, *, alarm: str | None = None) -> str | None:
        """Why it no longer holds, in one sentence; None while it does.

        Args:
            now: hashes of what is there now. Where a part is not at hand (a served folder holds no labels), leave it as
                it was: `guarantee.bound.model_copy(update={"head": …})`.
            alarm: what a monitor says against it.
        """
        for field, name in _NAMES.items():
            was, is_ = getattr(self.bound, field), getattr(now, field)
            if was != is_:
                verb, other = ("are", "others") if name.endswith("s") else ("is", "another one")
                changed = f"the {name} {verb} {other} (sha256 {is_[:12]} instead of {was[:12]})"
                return f"no guarantee: {changed}; make the promise again"
        return f"no guarantee: {alarm}" if alarm else None
