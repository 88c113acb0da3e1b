"""What the name of a model in a request asks for."""

import re
from typing import Literal, NamedTuple

from routecal.deployments.router_service.service_settings import ServiceSettings

AUTO = ("auto", "routecal")
JUDGE = "routecal-judge"
# As RouteLLM names a router and its threshold. Its number is a win rate of the large model, and a lower one sends it
# more; ours is of the probability that the medium model is enough, and a lower one sends the large model less.
_ROUTER = re.compile(r"router-routecal-(0(?:\.\d+)?|1(?:\.0+)?)")

Kind = Literal["decide", "judge", "medium", "large"]


class Asked(NamedTuple):
    """A kind, and a threshold of the probability that the medium model is enough, where the name has one."""

    kind: Kind
    threshold: float | None = None


def asked_for(name: object, settings: ServiceSettings) -> Asked | None:
    """What a name asks for; None where nobody has it.

    Args:
        name: of the request.
        settings: whose models are taken by their own names, undecided.
    """
    if not isinstance(name, str):
        return None
    if name in AUTO:
        return Asked("decide")
    if name == JUDGE:
        return Asked("judge")
    if found := _ROUTER.fullmatch(name):
        return Asked("decide", float(found[1]))
    for kind, upstream in (("medium", settings.medium), ("large", settings.large)):
        if name in (kind, upstream.model):
            return Asked("medium" if kind == "medium" else "large")
    return None


def names(settings: ServiceSettings) -> list[str]:
    """All names that `GET /v1/models` lists."""
    return [*AUTO, JUDGE, settings.medium.model, settings.large.model]
