"""LangChain agents whose model routecal picks, before every call of a model."""

import logging

import httpx
from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import convert_to_openai_messages

logger = logging.getLogger(__name__)


class RoutecalMiddleware(AgentMiddleware):
    """The medium model where routecal says so; the large one where it says so, or says nothing in time.

    Args:
        medium, large: chat models.
        url: of routecal, without /v1.
        key: that routecal asks for, if it does.
        timeout_s: how long routecal is waited for.
    """

    def __init__(self, medium, large, *, url, key=None, timeout_s=0.5):
        super().__init__()
        self._models = {"medium": medium, "large": large}
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=timeout_s)
        self._async_client = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout_s)

    def wrap_model_call(self, request, handler):
        """Of `invoke` and `stream`."""
        try:
            model = self._picked(self._client.post("/v1/route", json=asked(request)))
        except httpx.HTTPError as error:
            model = self._without(error)
        return handler(request.override(model=model))

    async def awrap_model_call(self, request, handler):
        """Of `ainvoke` and `astream`: without it, an agent refuses these."""
        try:
            model = self._picked(await self._async_client.post("/v1/route", json=asked(request)))
        except httpx.HTTPError as error:
            model = self._without(error)
        return await handler(request.override(model=model))

    def _picked(self, reply):
        return self._models[reply.raise_for_status().json()["routes"][0]["served_by"]]

    def _without(self, error):
        logger.warning("routecal does not answer (%r): the large model does", error)
        return self._models["large"]


def asked(request):
    """What routecal is asked: the conversation, of which it reads what the user says."""
    return {"messages": convert_to_openai_messages(request.messages)}
