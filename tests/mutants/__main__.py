"""Mutation testing of what the product decides alone: `python -m tests.mutants [room …]`, or `make mutants`.

Each mutant of a room's modules must fail one of the room's own tests, or be explained in `explained.toml`: why it
decides as the original does. Prints a row for each room and what survived; exits with 1 where a survivor has no
explanation, an explanation has no survivor, or a room's score is below `LEAST_SCORE`.
"""

import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.mutants.making import Mutant, mutants
from tests.mutants.running import survivors

LEAST_SCORE = 0.90
HERE = Path(__file__).parent


class Key(NamedTuple):
    """What an explanation is found by: no line numbers, so that it stays where it is."""

    file: str
    function: str
    was: str
    becomes: str


def main(names: list[str]) -> int:
    """Run the rooms of these names, or all."""
    rooms = tomllib.loads((HERE / "rooms.toml").read_text(encoding="utf-8"))
    if unknown := sorted(set(names) - set(rooms)):
        print(f"{unknown[0]} is not a room; choose from {', '.join(rooms)}", file=sys.stderr)
        return 2
    kept = tomllib.loads((HERE / "explained.toml").read_text(encoding="utf-8"))["mutant"]
    reasons = {Key(entry["file"], entry["function"], entry["was"], entry["becomes"]): entry["why"] for entry in kept}
    rows, is_well = [], True
    for name in names or rooms:
        made, alive = Counter[str](), list[tuple[str, Mutant]]()
        for file, tests in rooms[name].items():
            for mutant, survived in survivors(Path(file), mutants(Path(file).read_text(encoding="utf-8")), tests):
                made[file] += 1
                if survived:
                    alive.append((file, mutant))
        keys = [Key(file, *mutant[:3]) for file, mutant in alive]
        for (file, mutant), key in zip(alive, keys, strict=True):
            if key not in reasons:
                print(f"\n{file}:{mutant.line} in {mutant.function or 'the module'} survives")
                print(f"  was      {mutant.was}\n  becomes  {mutant.becomes}", flush=True)
        stale = [key for key in reasons if key.file in rooms[name] and key not in keys]
        for key in stale:
            print(f"\n{key.file} in {key.function}: no such survivor any more\n  {key.was}\n  {key.becomes}")
        total, explained = made.total(), sum(key in reasons for key in keys)
        killed, score = total - len(alive), (total - len(alive) + explained) / total
        rows.append(
            f"{name:<12}{total:>8}{killed:>8}{explained:>10}{len(alive) - explained:>9}{killed / total:>8.1%}{score:>8.1%}"
        )
        is_well &= explained == len(alive) and not stale and score >= LEAST_SCORE
    print(f"\n{'room':<12}{'mutants':>8}{'killed':>8}{'explained':>10}{'survived':>9}{'killed':>8}{'score':>8}")
    print("\n".join(rows))
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
