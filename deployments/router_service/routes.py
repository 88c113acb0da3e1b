"""What /v1/route is asked and answers."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from routecal.deployments.router_service.conversation import NoQuery, Reads, query_of
from routecal.deployments.router_service.decider import Served
from routecal.deployments.router_service.estimates import Estimate, estimate
from routecal.deployments.router_service.refusals import Refused
from routecal.deployments.router_service.service import Service

AT_MOST_QUERIES = 256
Query = Annotated[str, StringConstraints(min_length=1, max_length=1_000_000)]


class RouteRequest(BaseModel):
    """One query, several, or a conversation."""

    model_config = ConfigDict(extra="forbid")

    query: Query | None = None
    queries: Annotated[list[Query], Field(min_length=1, max_length=AT_MOST_QUERIES)] | None = None
    messages: Annotated[list[dict[str, Any]], Field(min_length=1)] | None = Field(
        default=None, description="as a chat completion has them; read as --reads says"
    )

    def texts(self, reads: Reads) -> list[str]:
        """What is decided.

        Raises:
            Refused: none of the three, or more than one; or no user says anything in words.
        """
        if sum(one is not None for one in (self.query, self.queries, self.messages)) != 1:
            raise Refused(400, "give one of query, queries and messages", param="query")
        if self.messages is None:
            return [self.query] if self.query is not None else self.queries or []
        try:
            return [query_of(self.messages, reads)]
        except NoQuery as error:
            raise Refused(400, str(error), param="messages") from error


class Route(BaseModel):
    """What to do with a query, and what that rests on."""

    decision_id: str
    model: str = Field(description="to call")
    served_by: str = Field(description="medium or large")
    policy: str | None
    confidence: float | None
    gain: float | None = Field(description="P(large right) - P(medium right); None: the head does not tell it")
    medium_right: float | None
    large_right: float | None
    escalate: bool
    threshold: float | None
    decides_by: str | None
    guarantee: str | None = Field(description="what is promised, in a sentence")
    no_guarantee: str | None = Field(description="why nothing is")
    status: str = Field(description="ok, fallback, shadow, unlike")
    truncated: bool | None
    estimate: Estimate


class Routes(BaseModel):
    """As many as were asked for, in their order."""

    routes: list[Route]


def route_of(served: Served, service: Service) -> Route:
    """The reply of one decision."""
    router, by = service.decider.router, served.by
    return Route(
        decision_id=served.id,
        model=service.model_for(served).model,
        served_by=served.action.served_by,
        policy=None if by is None else by.policy.value,
        confidence=None if by is None else by.confidence,
        gain=None if by is None else by.gain,
        medium_right=None if by is None else by.medium_right,
        large_right=None if by is None else by.large_right,
        escalate=by is None or served.escalates(by),
        threshold=None if by is None else by.threshold,
        decides_by=None if by is None else by.decides_by,
        guarantee=None if by is None or by.guarantee is None else str(by.guarantee),
        no_guarantee=(router.no_guarantee if by is None else by.no_guarantee) or None,
        status=served.status,
        truncated=None if by is None else by.truncated,
        estimate=estimate(served, router),
    )
