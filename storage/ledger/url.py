"""Where the ledger is. Passwords stay inside `URL`; what is shown to people has none."""

import os
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from routecal.storage.atomic import local_path
from routecal.storage.layout import DEFAULT, Home
from routecal.storage.ledger.ledger_errors import LedgerUrlInvalid

VARIABLE = "ROUTECAL_LEDGER_URL"
FILE = "ledger.sqlite"

_SQLITE = {"sqlite", "sqlite+pysqlite"}
_POSTGRESQL = {"postgres", "postgresql", "postgresql+psycopg"}


def locate(url: str | None = None) -> URL:
    """The URL given, else that of ROUTECAL_LEDGER_URL, else the file `ledger.sqlite` in the home.

    A home that is not on this machine cannot hold a database: the file is then in ./artifacts.

    Raises:
        LedgerUrlInvalid: it is no URL, or of a kind that cannot hold a ledger.
    """
    text = url or os.environ.get(VARIABLE)
    if not text:
        root = local_path(Home.from_env().root) or Path(DEFAULT)
        return URL.create("sqlite", database=os.path.abspath(root / FILE))
    start = text.partition(":")[0][:20]
    try:
        parsed = make_url(text)
    # The message would repeat the URL, password and all; so would the chain.
    except (ArgumentError, ValueError):
        raise LedgerUrlInvalid(start, "it is not a URL") from None
    if parsed.drivername in _SQLITE:
        if parsed.host or not parsed.database or parsed.database.startswith((":", "file:")):
            raise LedgerUrlInvalid(start, "it does not name a file on this machine")
        return URL.create("sqlite", database=os.path.abspath(parsed.database))
    if parsed.drivername not in _POSTGRESQL:
        raise LedgerUrlInvalid(start, f"{parsed.drivername!r} is neither sqlite nor postgresql")
    if "@" in (parsed.host or "") or "@" in (parsed.database or ""):
        raise LedgerUrlInvalid(start, "it holds more than one @ (write the one in a password as %40)")
    return parsed.set(drivername="postgresql+psycopg")


def url_for_display(url: URL) -> str:
    """The URL for people: the path of a file, or a server without password and options.

    >>> url_for_display(make_url("postgresql+psycopg://ann:secret@db:5432/paid?password=secret"))
    'postgresql://ann:***@db:5432/paid'
    """
    if url.drivername == "sqlite":
        return str(url.database)
    return url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)


def scrub(url: URL, text: str) -> str:
    """`text` on one line and without the password of `url`."""
    secrets = {str(url.password or ""), *(str(v) for k, v in url.query.items() if "pass" in k)}
    for secret in sorted(secrets - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return " ".join(text.split())
