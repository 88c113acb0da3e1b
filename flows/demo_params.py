"""Parameters of the demo's two flows. What a demo runs on is never a parameter: it makes its own."""

from typing import ClassVar

from pydantic import Field

from routecal.flows.form import Params
from routecal.flows.night_params import NightSteps
from routecal.flows.oracle_params import ShardSize
from routecal.flows.params import HeadParams, Seed
from routecal.flows.threshold_params import EscalationParams


class DemoInputs(Params):
    """How many questions there are, and how they are cut into tasks."""

    questions: int = Field(
        default=1500, ge=300, le=20000, description="Number of questions to make; a third of them train the router."
    )
    shard_size: ShardSize = 100


class DemoParams(HeadParams, EscalationParams, DemoInputs):
    """Run the whole pipeline on world-facts questions and a real Gemma-3-270M; it needs no key and no data."""

    FIRST: ClassVar[tuple[str, ...]] = ("questions", "risk", "at_most", "probability", "seed")

    medium_price: float | None = Field(default=1.0, ge=0, description="Price of a closed-book answer, in tokens.")
    large_price: float | None = Field(
        default=1.5,
        gt=0,
        description="Price of an open-book answer, which reads and writes 1.5 times the tokens (LOG.md).",
    )
    price_unit: str = Field(
        default="tokens; a closed-book answer = 1, an open-book one = 1.5",
        description="Unit of the two prices, as the report names it.",
    )


class DemoNightParams(DemoInputs, NightSteps):
    """Run one night of recalibration on the demo's queries, router and oracle, to see what a night does."""

    night_queries: int = Field(
        default=400, ge=1, le=100_000, description="Max. number of queries to label per night; it bounds the time."
    )
    seed: Seed = 0
