"""What a benchmark measured against what was asked of it: printed, and kept for `make bench`."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

# Names a file to which every bar is added, a JSON object a line.
VARIABLE = "ROUTECAL_BENCH_BARS"


class Bar(NamedTuple):
    """One measured number and what it must reach, or must not pass."""

    what: str
    measured: float
    wanted: float
    is_limit: bool = False

    @property
    def is_met(self) -> bool:
        """Whether it holds."""
        return self.measured <= self.wanted if self.is_limit else self.measured >= self.wanted

    @property
    def asked(self) -> str:
        """What is asked, as a table shows it."""
        return f"{'≤' if self.is_limit else '≥'} {self.wanted:g}"

    def __str__(self) -> str:
        return f"{'ok  ' if self.is_met else 'MISS'} | {self.what:<68} | {self.measured:9.4g} | {self.asked}"


def report(bars: Iterable[Bar]) -> int:
    """Print bars and keep them where `make bench` asks for it; 1 if one is missed, as a process ends."""
    missed = False
    for bar in bars:
        print(bar, flush=True)
        missed |= not bar.is_met
        _keep(bar._asdict())
    return int(missed)


def constant(name: str, value: float) -> None:
    """Keep a measured number that nothing is asked of, for docs/scale.md: its unit is in its name."""
    _keep({"constant": name, "value": value})


def _keep(line: dict[str, object]) -> None:
    if file := os.environ.get(VARIABLE):
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line, ensure_ascii=False) + "\n")
