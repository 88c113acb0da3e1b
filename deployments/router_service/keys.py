"""Who may ask: keys are known by their digest, and compared in constant time."""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from routecal.deployments.router_service.refusals import Refused
from routecal.deployments.router_service.service_settings import ClientKey


def client_of(authorization: str | None, keys: Sequence[ClientKey]) -> str | None:
    """Name of who asks; None where anybody may.

    Args:
        authorization: the header, "Bearer KEY".
        keys: empty where anybody may ask.

    Raises:
        Refused: there are keys, and this is none of them.
    """
    if not keys:
        return None
    kind, _, key = (authorization or "").partition(" ")
    digest = hashlib.sha256(key.strip().encode("utf-8", "surrogatepass")).hexdigest()
    found = [one.name for one in keys if hmac.compare_digest(one.sha256, digest)]
    if kind.lower() != "bearer" or not found:
        sentence = "the key in the header Authorization is not one of this server's; ask whoever runs it"
        raise Refused(401, sentence, code="invalid_api_key")
    return found[0]


def client_of_browser(authorization: str | None, keys: Sequence[ClientKey]) -> str | None:
    """As `client_of`, also of what a browser sends: the key as the password of HTTP Basic, whatever the user's name.

    For pages that change nothing: a browser sends it along by itself, whoever made it ask.

    Raises:
        Refused: there are keys, and this is none of them.
    """
    kind, _, said = (authorization or "").partition(" ")
    if kind.lower() == "basic":
        try:
            password = base64.b64decode(said, validate=True).decode().partition(":")[2]
        except ValueError:
            password = ""
        authorization = f"Bearer {password}"
    return client_of(authorization, keys)
