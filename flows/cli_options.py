"""Reads the options of a command: `--name value` and `--name=value` for every field of its parameter model.

Written out, because every refusal has to be one sentence that says what is allowed, and because nothing heavy may be
imported to say it. Values come from the command line and the file of `--config` alone, never from the environment.
"""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from routecal.flows.errors import (
    FlagMisplaced,
    OptionRepeated,
    OptionsConflict,
    OptionUnknown,
    WordUnexpected,
    WrongValues,
)
from routecal.flows.form import allowed
from routecal.flows.option_names import RENAMED, Option, closest, negated, options_of, positional_of, spelled
from routecal.flows.path_checks import input_file, local_path
from routecal.storage.input_errors import InputUnreadable

# Of the whole program; they stand before the command.
FLAGS = ("--verbose", "--refresh")
# Options that every command has beside its own.
COMMON = {
    "--config": "TOML or YAML file with options of this command, as in max_usd = 5; options given here come first",
    "--json": "print the result as one JSON document on standard output",
    "--help": "show the options that most runs need",
    "--help-all": "show every option",
}

Model = TypeVar("Model", bound=BaseModel)


class HelpAsked(Exception):
    """`--help` is among the options, or `--help-all`, which `is_full` says."""

    def __init__(self, is_full: bool) -> None:
        super().__init__(is_full)
        self.is_full = is_full


class Parsed(NamedTuple, Generic[Model]):
    """What a command line says.

    Attributes:
        params: the parameters of the command.
        as_json: whether the result is to be printed as JSON.
        notices: what whoever wrote it should know, in sentences.
    """

    params: Model
    as_json: bool
    notices: tuple[str, ...] = ()


def parse(model: type[Model], command: str, words: Sequence[str]) -> Parsed[Model]:
    """What the words after a command say.

    Raises:
        HelpAsked: `--help` or `--help-all` is among them.
        TaskError: a word or a value cannot be used.
        StorageError: the file of `--config` cannot be read.
    """
    options = options_of(model)
    given: dict[str, list[str]] = {}
    config: list[str] = []
    as_json = False
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, has_value, value = word.partition("=")
        if word in ("-h", "--help", "--help-all"):
            raise HelpAsked(word == "--help-all")
        if word == "--json":
            as_json = True
            continue
        flag = _flag(name, options)
        if flag is not None and not has_value:
            option, value = flag
        elif flag is not None:
            raise WrongValues([(name, value, f"it without a value, or {negated(name)}")])
        elif name in options or name == "--config":
            if not has_value:
                # What begins with one dash may be a negative number, or a list of them.
                if not rest or rest[0].startswith("--"):
                    wanted = "a TOML or YAML file" if name == "--config" else allowed(model, options[name].field)
                    raise WrongValues([(name, None, f"{wanted} after it")])
                value = rest.pop(0)
            if name == "--config":
                if config:
                    raise OptionRepeated(name)
                config.append(value)
                continue
            option = options[name]
        elif name in FLAGS:
            raise FlagMisplaced(name, command)
        elif word.startswith("-"):
            raise OptionUnknown(name, command, closest(name, options, COMMON))
        elif (field := positional_of(model)) is not None and field not in given:
            option, value = options[spelled(field)], word
        else:
            raise WordUnexpected(word, command)
        before = given.setdefault(option.field, [])
        if before and option.kind not in (list, dict):
            raise OptionRepeated(name)
        before.append(value)
    values = {
        option.field: _value(option, given[option.field], model) for option in options.values() if option.field in given
    }
    params = _validated(model, command, values, given, config[0] if config else None)
    old = dict.fromkeys(name for word in words if (name := word.partition("=")[0]) in RENAMED and name in options)
    return Parsed(params, as_json, tuple(f"{name} is called {RENAMED[name]} now" for name in old))


def _validated(
    model: type[Model], command: str, values: dict[str, Any], given: dict[str, list[str]], config: str | None
) -> Model:
    """The model of these values, and of those of the file for what is not given."""
    options = options_of(model)
    texts = {field: (spelled(field), ",".join(items)) for field, items in given.items()}
    if config is not None:
        for field, value in read_config(config, command, options).items():
            if field not in given:
                option = options[spelled(field)]
                is_text = isinstance(value, str) and option.kind in (list, dict)
                values[field] = _value(option, [value], model) if is_text else value
                texts[field] = (f"{field} in {config}", str(value))
    try:
        return model.model_validate(values)
    except ValidationError as error:
        fields = dict.fromkeys(str(fault["loc"][0]) for fault in error.errors())
        raise WrongValues([(*texts.get(f, (spelled(f), None)), allowed(model, f)) for f in fields]) from None


def _flag(name: str, options: dict[str, Option]) -> tuple[Option, str] | None:
    """A flag and what it is set to; None if the name is no flag."""
    if (option := options.get(name)) is not None and option.kind is bool:
        return option, "true"
    bare = "--" + name.removeprefix("--no-")
    if name.startswith("--no-") and (option := options.get(bare)) is not None and option.kind is bool:
        return option, "false"
    return None


def _value(option: Option, given: list[str], model: type[BaseModel]) -> Any:
    """What the model validates: texts, which it makes numbers of."""
    if option.kind not in (list, dict):
        return None if option.is_optional and given == ["None"] else given[0]
    items: list[Any] = []
    for text in given:
        items += _parts(option, text, model)
    if option.kind is list:
        return items
    if len({name for name, _ in items}) < len(items):
        raise WrongValues([(spelled(option.field), ",".join(given), "every name once")])
    return dict(items)


def _parts(option: Option, text: str, model: type[BaseModel]) -> list[Any]:
    """The items of a list, or (name, value) of a mapping: as a,b or name=value,name=value, or in JSON."""
    wrong = WrongValues([(spelled(option.field), text, allowed(model, option.field))])
    if text.startswith("[" if option.kind is list else "{"):
        try:
            read = json.loads(text)
        except ValueError:
            raise wrong from None
        return list(read.items()) if option.kind is dict else read
    parts = [part.strip() for part in text.split(",")]
    if option.kind is list:
        return parts
    pairs = [part.partition("=") for part in parts]
    if not all(name.strip() and equals for name, equals, _ in pairs):
        raise wrong
    return [(name.strip(), value.strip()) for name, _, value in pairs]


def read_config(path: str, command: str, options: dict[str, Option]) -> dict[str, Any]:
    """The values of a file by field. A key is an option's name, with _ or - between its words.

    Raises:
        InputMissing, InputUnreadable, NotAFile: there is no such file, or it is neither TOML nor YAML.
        OptionsConflict: it holds a key that is no option of the command, or one twice.
    """
    input_file("--config", path)
    values: dict[str, Any] = {}
    for key, value in _read(path).items():
        name = spelled(str(key))
        if (option := options.get(name)) is None:
            near = closest(name, options)
            hint = f"did you mean {near.removeprefix('--').replace('-', '_')}?" if near else "leave it out"
            raise OptionsConflict(f"{key!r} in {path} is not an option of {command}", hint)
        if option.field in values:
            raise OptionsConflict(f"{option.field} stands twice in {path}", "give it once")
        values[option.field] = value
    return values


def _read(path: str) -> dict[Any, Any]:
    local = local_path(path)
    remedy = "write TOML such as max_usd = 5, or YAML in a file whose name ends in .yaml"
    if local is None:
        raise InputUnreadable(path, "it is not a file of this machine", remedy)
    try:
        text = local.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputUnreadable(path, getattr(error, "strerror", None) or "it is not UTF-8 text", remedy) from error
    if Path(path).suffix.lower() in (".yaml", ".yml"):
        import yaml

        try:
            values = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise InputUnreadable(path, f"it is not YAML: {' '.join(str(error).split())}", remedy) from error
        if values is None:
            return {}
        if not isinstance(values, dict):
            raise InputUnreadable(path, "it holds no options by name", remedy)
        return values
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputUnreadable(path, f"it is not TOML: {error}", remedy) from error
