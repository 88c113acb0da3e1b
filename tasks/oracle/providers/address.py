"""The address of an OpenAI-compatible endpoint: what may be shown and remembered of it, and what may not."""

from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from routecal.tasks.errors import OptionMissing


class Address(NamedTuple):
    """A base URL in parts.

    Attributes:
        url: without user and password, and without a slash at the end.
        login: (user, password) for HTTP basic authentication; None if the URL names none.
    """

    url: str
    login: tuple[str, str] | None = None

    @property
    def is_openai(self) -> bool:
        """Whether OpenAI itself is meant, by whichever regional name."""
        return f".{urlsplit(self.url).hostname}".endswith(".api.openai.com")


def address_of(base_url: str) -> Address:
    """The parts of a base URL.

    Raises:
        OptionMissing: it is no address of an HTTP server. The error does not repeat it: it may hold a password.
    """
    try:
        parts = urlsplit(base_url.strip())
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, is_address = SplitResult("", "", "", "", ""), False
    if not is_address or parts.query or parts.fragment or any(c.isspace() for c in base_url.strip()):
        raise OptionMissing(
            "endpoint at the address in --base-url",
            "give all that comes before /chat/completions, and nothing else, as http://127.0.0.1:8000/v1",
        )
    login = None
    if parts.username is not None or parts.password is not None:
        login = (unquote(parts.username or ""), unquote(parts.password or ""))
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=parts.path.rstrip("/"))
    return Address(bare.geturl(), login)
