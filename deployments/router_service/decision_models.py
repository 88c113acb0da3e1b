"""routecal as a decision model: OpenAI's `POST /v1/decisions` and TypeSafe's `POST /v1/systemone`.

It answers one question, whether the medium model is enough for a query, in the forms that these protocols have:

    predicate / noul   named medium_is_enough: the probability that it is
    choice             between two names of the models, `medium` and `large` or those that are configured, or between
                       the four tiers of LiteLLM: SIMPLE stands for the medium model, REASONING for the large one

A choice is the model that serves, by the head's own threshold: whoever takes the likelier option would ignore it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from routecal.deployments.router_service.conversation import NoQuery, query_of, text_of
from routecal.deployments.router_service.decider import Served
from routecal.deployments.router_service.refusals import Refused
from routecal.deployments.router_service.service_settings import ServiceSettings

PREDICATE = "medium_is_enough"
TIERS: dict[object, str | None] = {"SIMPLE": "medium", "MEDIUM": None, "COMPLEX": None, "REASONING": "large"}
# What LiteLLM puts before the query: what its own prompt says, and then the message itself.
_LITELLM = "Classify this message:\n"


def models_of(options: Sequence[object], settings: ServiceSettings) -> dict[object, str | None] | None:
    """Which model each option of a choice stands for; None where it is another question."""
    names = {"medium": "medium", "large": "large", settings.medium.model: "medium", settings.large.model: "large"}
    if set(options) == set(TIERS):
        return dict(TIERS)
    found = {option: names.get(option) if isinstance(option, str) else None for option in options}
    return found if sorted(map(str, found.values())) == ["large", "medium"] else None


def probabilities(served: Served, options: Mapping[object, str | None]) -> dict[object, float]:
    """Probability of each option: of the medium model that it is enough, of the large one the rest."""
    p = is_enough(served)
    share = {"medium": p, "large": 1 - p, None: 0.0}
    return {option: share[model] for option, model in options.items()}


def is_enough(served: Served) -> float:
    """Probability that the medium model is enough; 0 where nothing is known, so that the large one serves."""
    by = served.by
    if by is None or served.status == "unlike":
        return 0.0
    return by.medium_enough


def chosen(served: Served, options: Mapping[object, str | None]) -> object:
    """The option of the model that serves."""
    wanted = served.action.served_by
    return next(option for option, model in options.items() if model == wanted)


def confidence_of(p: Sequence[float]) -> float:
    """1 where one option has all, 0 where all have the same: (n max - 1) / (n - 1)."""
    return max(0.0, (len(p) * max(p) - 1) / (len(p) - 1))


# ---- OpenAI


def decisions_query(said: Any, settings: ServiceSettings) -> str:
    """The query in a request to /v1/decisions.

    Raises:
        Refused: there is none.
    """
    if isinstance(said, str) and said.strip():
        return said
    try:
        return query_of(said, settings.reads)
    except NoQuery as error:
        raise Refused(400, f"input: {error}", param="input") from error


def decisions_answer(question: Any, served: Served, settings: ServiceSettings) -> dict[str, Any]:
    """One answer; a refusal to what is another question.

    Raises:
        Refused: it is no question.
    """
    if not isinstance(question, Mapping) or question.get("type") not in ("predicate", "choice", "score"):
        raise Refused(400, "a question has a type: predicate, choice or score", param="questions")
    name = question.get("name")
    refusal = {"type": "refusal", "name": name}
    if question["type"] == "predicate" and name == PREDICATE:
        return {"type": "predicate", "name": name, "probability": is_enough(served)}
    choices = question.get("choices")
    if question["type"] != "choice" or not isinstance(choices, list):
        return refusal
    values = [one.get("value") for one in choices if isinstance(one, Mapping)]
    if not all(isinstance(value, str) for value in values) or (options := models_of(values, settings)) is None:
        return refusal
    p = probabilities(served, options)
    return {
        "type": "choice",
        "name": name,
        "choice": chosen(served, options),
        "confidence": confidence_of(list(p.values())),
        "probabilities": [{"value": value, "probability": p[value]} for value in values],
    }


# ---- TypeSafe


def systemone_query(state: Any, settings: ServiceSettings) -> str:
    """The query in a state: a text, or the field `query`, `message` or `messages` of an object.

    Raises:
        Refused: there is none.
    """
    if isinstance(state, Mapping):
        if "messages" in state:
            return decisions_query(state["messages"], settings)
        state = next((state[name] for name in ("query", "message", "user_request", "input") if name in state), "")
    text = state if isinstance(state, str) else text_of(state)
    if _LITELLM in text:
        text = text.rpartition(_LITELLM)[2]
    if not text.strip():
        raise Refused(400, "state holds no query: give a text, or an object with query or messages", param="state")
    return text


def systemone_answer(name: str, question: Any, served: Served, settings: ServiceSettings) -> dict[str, Any]:
    """One answer.

    Raises:
        Refused: it is another question: this protocol has no refusal of one alone.
    """
    kind = question.get("type") if isinstance(question, Mapping) else None
    if kind == "noul" and name == PREDICATE:
        return {"type": "noul", "noul": is_enough(served)}
    criteria = question.get("criteria") if kind == "choice" else None
    options = models_of(list(criteria), settings) if isinstance(criteria, Mapping) else None
    if options is None:
        raise Refused(
            400,
            f"question {name!r} is not the one that this model answers: a noul named {PREDICATE}, or a choice between "
            f"{settings.medium.model} and {settings.large.model}, medium and large, or LiteLLM's four tiers",
            param=f"questions.{name}",
        )
    p = probabilities(served, options)
    return {
        "type": "choice",
        "choice": chosen(served, options),
        "probabilities": p,
        "confidence": confidence_of(list(p.values())),
    }
