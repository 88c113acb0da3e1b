"""Forms and `--help`: few things first, and every field says what it is, its unit, its default, when to change it."""

import re
import subprocess
import sys
from inspect import signature
from itertools import chain, pairwise

import pytest
from prefect import Flow
from prefect.utilities.callables import parameter_schema

from routecal.__main__ import DEPLOYED
from routecal.flows import cli
from routecal.flows.calibrate import calibrate
from routecal.flows.commands import COMMANDS, DEPLOYED_COMMANDS
from routecal.flows.form import Params
from routecal.flows.option_names import spelled
from tests.flows.refusal import Capture

MODELS = {name: command.params for name, command in COMMANDS.items()}
TEXTS = {(name, f): info.description or "" for name, model in MODELS.items() for f, info in model.model_fields.items()}

# A description begins with a noun or a verb of what it is, not in the middle of a sentence about something else.
FRAGMENT = re.compile(r"(?i)^(of|for|as|at|by|in|to|that|where|which|if|whose|with|from|per|and|or)\b")


def test_every_description_is_a_whole_phrase_of_at_most_forty_words() -> None:
    assert len(TEXTS) > 300
    assert not {
        where: text
        for where, text in TEXTS.items()
        if FRAGMENT.match(text) or not text[:1].isupper() or not text.endswith(".") or not 4 <= len(text.split()) <= 40
    }


def test_what_happens_without_a_value_is_said() -> None:
    assert not {
        (name, field): text
        for (name, field), text in TEXTS.items()
        if not (info := MODELS[name].model_fields[field]).is_required()
        and info.get_default() in (None, "", [], (), {})
        and "Default: " not in text
    }


# Of the last word of a field's name, what its description must name.
UNITS = {"usd": "USD", "s": "Seconds", "h": "Hours", "hours": "Hours", "nights": "Nights", "tokens": "tokens"}


def test_the_unit_is_said() -> None:
    assert not {
        where: text
        for where, text in TEXTS.items()
        if UNITS.get(where[1].rpartition("_")[2], "").lower() not in text.lower()
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_a_screen_and_shows_an_example_that_parses(name: str, capsys: Capture) -> None:
    assert cli.main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) <= 60
    assert max(map(len, out.splitlines())) <= 120
    (example,) = re.findall(rf"^  (routecal {name}.*)$", out, re.MULTILINE)
    command = COMMANDS[name]
    given = re.findall(r"--([\w-]+)", command.params.EXAMPLE)
    assert example.endswith(command.params.EXAMPLE)
    required = {spelled(field) for field, info in command.params.model_fields.items() if info.is_required()}
    assert required <= {f"--{one}" for one in given} <= set(map(spelled, command.params.model_fields))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_what_people_set_first_and_counts_the_rest(name: str, capsys: Capture) -> None:
    model = MODELS[name]
    cli.main([name, "--help"])
    out = capsys.readouterr().out
    shown = {field for field in model.model_fields if re.search(rf"^  {spelled(field)}[ ,]", out, re.MULTILINE)}
    rest = list(chain.from_iterable(model.advanced().values()))
    assert shown == set(model.first())
    assert shown | set(rest) == model.model_fields.keys()
    assert (f"{len(rest)} more options: routecal {name} --help-all" in out) == bool(rest)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_required_fields_are_among_the_first(model: type[Params]) -> None:
    required = {field for field, info in model.model_fields.items() if info.is_required()}
    assert required <= set(model.first()) <= model.model_fields.keys()
    assert len(model.first()) == len(set(model.first())) <= 14


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_what_runs_a_quick_one_takes_its_fields(name: str) -> None:
    command = COMMANDS[name]
    run, show = command.load()
    assert callable(show)
    assert isinstance(run, Flow) != command.is_quick
    assert not command.is_quick or signature(run).parameters.keys() == command.params.model_fields.keys()


def test_the_commands_that_help_lists_are_those_that_are_deployed() -> None:
    assert {name for group in DEPLOYED_COMMANDS.values() for name in group} == DEPLOYED.keys()


@pytest.mark.parametrize("name", [*COMMANDS, *DEPLOYED])
def test_the_list_of_commands_has_a_line_of_each(name: str, capsys: Capture) -> None:
    cli.main(["--help"])
    (line,) = re.findall(rf"^  {name} +(.*)$", capsys.readouterr().out, re.MULTILINE)
    assert line[0].isupper()
    assert 4 <= len(line.split()) <= 20


def test_a_form_begins_with_what_is_required_and_ends_with_the_advanced_by_group() -> None:
    """As Prefect's UI sorts: by `position`, then as they come."""
    schema = parameter_schema(calibrate.fn).definitions["CalibrateParams"]
    fields = sorted(schema["properties"], key=lambda field: schema["properties"][field]["position"])
    assert fields == list(schema["properties"])
    assert fields[:4] == ["queries", "router_path", "oracle", "outcomes"]
    titles = [schema["properties"][field]["title"] for field in fields]
    first = len(MODELS["calibrate"].first())
    assert not [title for title in titles[:first] if title.startswith("Advanced")]
    assert "Advanced · money: Policy Map" in titles
    groups = [re.match(r"Advanced · ([\w ]+): ", title)[1] for title in titles[first:]]
    assert [group for i, group in enumerate(groups) if group not in groups[:i]] == list(dict.fromkeys(groups))
    changes = sum(a != b for a, b in pairwise(groups))
    assert changes == len(set(groups)) - 1


# ---- what it costs

HEAVY = {"torch", "prefect", "pyarrow", "duckdb", "numpy", "scipy", "sklearn", "transformers", "sqlalchemy", "httpx"}


def loaded(lines: list[list[str]]) -> set[str]:
    """The first parts of all modules that these command lines load, one after the other in one process."""
    code = f"import sys; from routecal.flows.cli import main; codes = [main(line) for line in {lines!r}]"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(*codes, *sys.modules)"], capture_output=True, text=True, check=True
    )
    words = done.stdout.splitlines()[-1].split()
    assert set(words[: len(lines)]) <= {"0", "2"}, done.stderr
    return {module.split(".")[0] for module in words[len(lines) :]}


def test_help_and_refusals_load_nothing_heavy() -> None:
    wrong = [["calibrat"], ["calibrate", "--quieries", "x"], ["label", "--queries", "nowhere.jsonl"]]
    heavy = loaded([["--help"], *([name, "--help-all"] for name in COMMANDS), *wrong]) & HEAVY
    assert heavy == set()


def test_what_looks_at_stored_things_loads_neither_torch_nor_prefect() -> None:
    names = [name for name, command in COMMANDS.items() if command.is_quick and name != "audit"]
    assert len(names) == 8
    assert not loaded([[name] for name in names]) & {"torch", "prefect", "transformers", "matplotlib", "scipy"}
    assert not loaded([["audit", "--file", __file__]]) & {"torch", "prefect", "transformers", "matplotlib"}
