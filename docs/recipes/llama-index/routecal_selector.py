"""llama-index routers that ask routecal which of two query engines answers."""

import logging

import httpx
from llama_index.core.base.base_selector import BaseSelector, SelectorResult, SingleSelection

logger = logging.getLogger(__name__)


class RoutecalSelector(BaseSelector):
    """Selects the engine named `medium` where routecal says so, else the one named `large`.

    Args:
        url: of routecal, without /v1.
        key: that routecal asks for, if it does.
        timeout_s: how long routecal is waited for.
    """

    def __init__(self, *, url, key=None, timeout_s=0.5):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=timeout_s)
        self._async_client = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout_s)

    def _get_prompts(self):
        """None: no model is asked."""
        return {}

    def _update_prompts(self, prompts):
        """There are none."""

    def _select(self, choices, query):
        try:
            reply = self._client.post("/v1/route", json={"query": query.query_str})
            return picked(choices, reply)
        except httpx.HTTPError as error:
            return without(choices, error)

    async def _aselect(self, choices, query):
        try:
            reply = await self._async_client.post("/v1/route", json={"query": query.query_str})
            return picked(choices, reply)
        except httpx.HTTPError as error:
            return without(choices, error)


def picked(choices, reply):
    """What routecal says."""
    route = reply.raise_for_status().json()["routes"][0]
    return selection(choices, route["served_by"], f"{route['status']}, decision {route['decision_id']}")


def without(choices, error):
    """What serves where it says nothing."""
    logger.warning("routecal does not answer (%r): the large model does", error)
    return selection(choices, "large", f"routecal does not answer: {error!r}")


def selection(choices, name, reason):
    """The engine of this name."""
    index = [choice.name for choice in choices].index(name)
    return SelectorResult(selections=[SingleSelection(index=index, reason=reason)])
