"""What pages of the Prefect UI are made of: texts that others wrote, tables, pictures, and links to reports."""

import base64
import html
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

import httpx
from prefect.client.orchestration import get_client

_SPECIAL = re.compile(r"[\\`*{}\[\]()#+!|~]|(?<![^\W_])_|_(?![^\W_])")
# Hexadecimal digits of a router's hash that tell routers apart in the keys of pages.
SHORT = 8


def safe(text: str) -> str:
    r"""Text that Markdown and HTML show as it is, on one line, cut where it is endless.

    >>> safe("[a](javascript:b) | <i>snake_case</i> _c_")
    '\\[a\\]\\(javascript:b\\) \\| &lt;i&gt;snake_case&lt;/i&gt; \\_c\\_'
    """
    flat = " ".join("".join(c if c.isprintable() else " " for c in text[:2000]).split())
    return _SPECIAL.sub(r"\\\g<0>", html.escape(flat, quote=False))


def pipe_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, text_columns: int = 1) -> str:
    """A table.

    Args:
        columns: headings, Markdown like the cells.
        rows: as many cells each.
        text_columns: how many columns are aligned left; the others are aligned right.
    """
    ends = ["---"] * text_columns + ["--:"] * (len(columns) - text_columns)
    lines = ["| " + " | ".join(columns) + " |", "|" + "|".join(ends) + "|"]
    return "\n".join(lines + ["| " + " | ".join(cells) + " |" for cells in rows])


def picture(png: bytes, text: str) -> str:
    """A picture inside the page, with a text for readers who do not see it."""
    return f"![{safe(text)}](data:image/png;base64,{base64.b64encode(png).decode()})"


def report_line(report: str, link: str | None) -> str:
    """How a page names a report: by the address at which the server of the UI serves it, else by its path."""
    return f"[Open the full report]({link})" if link else f"Report: `{report}`"


def report_link(report: str) -> str | None:
    """Address of a report on this run's Prefect server; None where that does not serve it (`routecal serve` does).

    Args:
        report: path or URL of the page, as `write_report` returns it.
    """
    path = "/reports/" + "/".join(PurePosixPath(report).parts[-2:])
    with get_client(sync_client=True) as client:
        root = str(client.api_url).rstrip("/").removesuffix("/api")
        ask: Any = client.request  # typed for the paths of the API alone
        try:
            ask("HEAD", root + path)
        except httpx.HTTPError:
            return None
    return path
