"""LiteLLM asks routecal which tier a request belongs to. Keep this file beside the configuration that names it."""

import os

import httpx
from litellm.types.router import RoutingContext

TIERS = {"medium": "SIMPLE", "large": "REASONING"}
KEY = os.environ.get("ROUTECAL_KEY")
# Of the module: LiteLLM copies the plugin, and connections cannot be copied.
CLIENT = httpx.AsyncClient(
    base_url=os.environ["ROUTECAL_URL"], headers={"Authorization": f"Bearer {KEY}"} if KEY else {}
)


class Routecal:
    """A classifier of LiteLLM's complexity router."""

    async def classify(self, context: RoutingContext) -> str:
        """The tier. LiteLLM ends the wait, and sends to `default_model` whatever fails here."""
        reply = await CLIENT.post("/v1/route", json={"messages": context.structured_messages})
        reply.raise_for_status()
        return TIERS[reply.json()["routes"][0]["served_by"]]


plugin = Routecal()
