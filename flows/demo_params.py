"""Parameters of the demo's two flows. What a demo runs on is never a parameter: it makes its own."""

from pydantic import Field

from routecal.flows.oracle_params import Params
from routecal.flows.params import MAX_SEED, EscalationParams, HeadParams


class DemoInputs(Params):
    """How many questions there are, and how they are cut into tasks."""

    questions: int = Field(default=1500, ge=300, le=20000, description="how many; a third trains the router, no more")
    shard_size: int = Field(default=100, ge=1, le=5000, description="queries per task: what a crash can cost")


class DemoParams(HeadParams, EscalationParams, DemoInputs):
    """The whole pipeline on world-facts questions and a real Gemma-3-270M: no key, no server, no data of yours."""

    medium_price: float | None = Field(default=1.0, ge=0, description="of a closed-book answer")
    large_price: float | None = Field(
        default=1.5, gt=0, description="of an open-book answer: it reads and writes 1.5 times the tokens (LOG.md)"
    )
    price_unit: str = Field(
        default="tokens; a closed-book answer = 1, an open-book one = 1.5", description="of the two prices"
    )


class DemoNightParams(DemoInputs):
    """One night of recalibration on the demo's queries, router and oracle, to see what a night does."""

    night_queries: int = Field(default=400, ge=1, le=100_000, description="max. queries labelled per night")
    recheck_nights: int = Field(
        default=7, ge=1, le=365, description="label after so many nights without labels, even if all is well"
    )
    require_approval: bool = Field(
        default=False, description="before a new head is promoted, wait until a person approves it"
    )
    approval_hours: float = Field(default=12.0, gt=0, le=168, description="how many hours to wait for that")
    seed: int = Field(default=0, ge=0, le=MAX_SEED, description="of questions, training and bootstrap")
