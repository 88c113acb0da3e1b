"""Mutation testing of what the product decides alone: `make mutants`, or `python -m tests.mutants [room or file …]`.

With `--every 5` a fifth of the mutants, evenly spread: a first look. Explanations are then not asked to be needed.

Each mutant of a room's modules must fail one of the room's own tests, or be explained in `explained.toml`: why it
decides as the original does. Prints what survives, and a row for each room; exits with 1 where a survivor has no
explanation, an explanation has no survivor, or the score of a room is below `LEAST_SCORE`.
"""

import argparse
import sys
import tomllib
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tests.mutants.making import mutants
from tests.mutants.running import survivors

LEAST_SCORE = 0.90
HERE = Path(__file__).parent


class Key(NamedTuple):
    """What an explanation is found by: no line numbers, so that it is found when lines move."""

    file: str
    function: str
    was: str
    becomes: str


@dataclass
class Count:
    """What became of the mutants of a room."""

    made: int = 0
    killed: int = 0
    explained: int = 0

    @property
    def survived(self) -> int:
        """Without an explanation."""
        return self.made - self.killed - self.explained

    @property
    def score(self) -> float:
        """Killed or explained, in [0, 1]."""
        return 1 - self.survived / self.made

    def row(self, name: str) -> str:
        """For the table."""
        return f"{name:<12}{self.made:>9}{self.killed:>9}{self.explained:>11}{self.survived:>10}{self.score:>8.1%}"


def main(names: list[str], *, every: int = 1) -> int:
    """Run the rooms or files of these names, or all."""
    rooms = tomllib.loads((HERE / "rooms.toml").read_text(encoding="utf-8"))
    if unknown := [name for name in names if not any(name == room or name in rooms[room] for room in rooms)]:
        print(f"{unknown[0]} is not a room; choose from {', '.join(rooms)}", file=sys.stderr)
        return 2
    explained = _explained()
    rows, is_well = [], True
    for room, files in rooms.items():
        count = Count()
        for file, tests in files.items():
            if not names or room in names or file in names:
                is_well &= _run(file, tests, {key for key in explained if key.file == file}, count, every)
        if count.made:
            rows.append(count.row(room))
            is_well &= count.score >= LEAST_SCORE
    print("\nroom          mutants   killed  explained  survived   score", *rows, sep="\n")
    return 0 if is_well else 1


def _run(file: str, tests: list[str], explained: set[Key], count: Count, every: int) -> bool:
    """Count the mutants of a file; whether each survivor is explained, and each explanation needed."""
    found = set()
    made = islice(mutants(Path(file).read_text(encoding="utf-8")), 0, None, every)
    for mutant, survived in survivors(Path(file), made, tests):
        key = Key(file, mutant.function, mutant.was, mutant.becomes)
        count.made += 1
        count.killed += not survived
        count.explained += survived and key in explained
        if survived:
            found.add(key)
        if survived and key not in explained:
            _show(f"{file}:{mutant.line} {mutant.function}", key)
    unneeded = explained - found if every == 1 else set()
    for key in unneeded:
        _show(f"{file} {key.function}: explained, but no survivor", key)
    return not unneeded and found <= explained


def _show(where: str, key: Key) -> None:
    print(f"\n{where}\n  was      {key.was}\n  becomes  {key.becomes}", flush=True)


def _explained() -> set[Key]:
    kept = tomllib.loads((HERE / "explained.toml").read_text(encoding="utf-8"))
    return {
        Key(file, entry["function"], entry["was"], becomes)
        for file, entries in kept.items()
        for entry in entries
        for becomes in entry["becomes"]
        if entry["why"]
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("names", nargs="*", help="rooms, or files of rooms; all rooms if there are none")
    parser.add_argument("--every", type=int, default=1, help="run one mutant of so many, from the first on")
    given = parser.parse_args()
    sys.exit(main(given.names, every=given.every))
