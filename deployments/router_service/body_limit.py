"""Refuses bodies that are too large, before they are held: the length that is announced, and the length that comes."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from routecal.deployments.router_service.refusals import Refused, refusal


class _TooLarge(Exception):
    pass


class BodyLimit:
    """ASGI middleware.

    Args:
        app: behind it.
        at_most: bytes of a request's body.
    """

    def __init__(self, app: ASGIApp, at_most: int) -> None:
        self._app, self._at_most = app, at_most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on what is small enough."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        refused = refusal(Refused(413, f"the body is larger than {self._at_most:,} bytes", code="body_too_large"))
        if not announced.isdigit() or int(announced) > self._at_most:
            await refused(scope, receive, send)
            return
        came, began = 0, False

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > self._at_most:
                raise _TooLarge
            return message

        async def sent(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._app(scope, counted, sent)
        except _TooLarge:
            if not began:
                await refused(scope, receive, send)
