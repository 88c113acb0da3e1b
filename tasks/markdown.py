"""Texts that others wrote, in the Markdown that the Prefect UI shows."""

import html
import re

_SPECIAL = re.compile(r"[\\`*{}\[\]()#+!|~]|(?<![^\W_])_|_(?![^\W_])")


def safe(text: str) -> str:
    r"""Text that Markdown and HTML show as it is, on one line, cut where it is endless.

    >>> safe("[a](javascript:b) | <i>snake_case</i> _c_")
    '\\[a\\]\\(javascript:b\\) \\| &lt;i&gt;snake_case&lt;/i&gt; \\_c\\_'
    """
    flat = " ".join("".join(c if c.isprintable() else " " for c in text[:2000]).split())
    return _SPECIAL.sub(r"\\\g<0>", html.escape(flat, quote=False))
