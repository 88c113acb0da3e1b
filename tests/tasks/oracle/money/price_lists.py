"""Calls, days and lists of prices for the tests of what calls cost."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from routecal.tasks.oracle.call import Call

NOV = datetime(2026, 11, 22, 12, tzinfo=UTC)
DEC = datetime(2026, 12, 1, tzinfo=UTC)
JAN = datetime(2027, 1, 1, tzinfo=UTC)

MINE = """
[[price]]
model = "mine"
input_usd = 1
output_usd = 2.5
"""


def call(
    model: str = "gemini-3.8-flash", prompt: str = "", *, system: str = "", provider: str = "gemini", **config: Any
) -> Call:
    return Call(provider, model, system, prompt, {"max_output_tokens": 1000, "thinking_level": "low"} | config, "v")


def listed(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "prices.toml"
    path.write_text(text, encoding="utf-8")
    return path
