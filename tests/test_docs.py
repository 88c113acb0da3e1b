"""README keeps its word: its commands exist, its options parse, and every registered name is explained."""

import re
import shlex
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

from routecal.calib.baselines import BASELINES
from routecal.calib.learn.rewards import REWARDS
from routecal.calib.metrics import METRICS
from routecal.calib.recalibrate import RECALIBRATORS
from routecal.flows import cli
from routecal.tasks.oracle import ORACLES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands(program: str) -> list[str]:
    """What README says to type: lines of its code blocks, and inline code, that run `program`; without comments."""
    fenced = "\n".join(re.findall(r"```\w*\n(.*?)```", README, re.DOTALL))
    indented = "\n".join(line[4:] for line in README.splitlines() if line.startswith("    "))
    inline = "\n".join(re.findall(r"(?<!`)`([^`\n]+)`(?!`)", README))
    lines = "\n".join((fenced, indented, inline)).replace("\\\n", " ").splitlines()
    plain = [line.split("#")[0].strip().removeprefix(".venv/bin/") for line in lines]
    return [line for line in plain if line.startswith(f"{program} ")]


def test_readme_shows_how_to_start() -> None:
    assert {"make demo", "make test"} <= set(commands("make"))
    assert any(line.startswith("routecal calibrate ") for line in commands("routecal"))


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    used = {word for line in commands("make") for word in line.split()[1:] if "=" not in word}
    assert used <= targets, used - targets


def test_every_command_parses() -> None:
    for line in commands("routecal"):
        names, *rest = shlex.split(line)[1:]
        # `a | b | c` lists alternatives
        alternatives = [names, *(word for before, word in pairwise(rest) if before == "|")]
        for name in (n for n in alternatives if n not in ("--help", "--verbose", "--refresh")):
            assert name in cli.COMMANDS, line
            model = getattr(import_module(cli.COMMANDS[name].params_in), cli.COMMANDS[name].params)
            known = {"--help"} | {"--" + field.replace("_", "-") for field in model.model_fields}
            known |= {"--no-" + f.replace("_", "-") for f, i in model.model_fields.items() if i.annotation is bool}
            known |= {
                "--" + str(a) for i in model.model_fields.values() for a in getattr(i.validation_alias, "choices", ())
            }
            used = {word.split("=")[0] for word in rest if word.startswith("--")}
            assert used <= known, f"{line}: {used - known}"


REGISTRIES = {
    "reward": REWARDS,
    "baseline": BASELINES,
    "recalibrator": RECALIBRATORS,
    "metric": METRICS,
    "oracle": ORACLES,
}


@pytest.mark.parametrize("registry", REGISTRIES.values(), ids=REGISTRIES.keys())
def test_every_registered_name_is_in_readme(registry: dict[str, object]) -> None:
    missing = {name for name in registry if f"`{name}`" not in README}
    assert not missing
