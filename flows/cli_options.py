"""Command-line options made from a parameter model: `--name value` and `--name=value` for every field.

Written out, because every refusal has to be one sentence that says what is allowed, and because nothing heavy may be
imported to say it. Values come from the command line alone, never from the environment.
"""

import json
import types
from argparse import ArgumentParser, BooleanOptionalAction, HelpFormatter
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo

from routecal.flows.commands import FLAGS
from routecal.flows.errors import FlagMisplaced, OptionRepeated, OptionUnknown, WordUnexpected, WrongValues
from routecal.flows.field_values import allowed

Model = TypeVar("Model", bound=BaseModel)


class HelpAsked(Exception):
    """`--help` is among the options; its argument is the text."""


class _Option(NamedTuple):
    """One field as an option.

    Attributes:
        field: its name in the model.
        kind: bool is a flag; list and dict hold several values, separated by commas or given one by one; str one value,
            which the model makes a number of where it wants one.
        is_optional: whether `None` is a value.
    """

    field: str
    kind: type
    is_optional: bool


def parse(model: type[Model], command: str, words: Sequence[str]) -> Model:
    """The parameters that the words of a command line give.

    Raises:
        HelpAsked: with the help of the command.
        TaskError: a word or a value does not serve.
    """
    options = _options(model)
    given: dict[str, list[str]] = {}
    values: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, has_value, value = word.partition("=")
        if word in ("-h", "--help"):
            raise HelpAsked(_help(model, command))
        flag = _flag(name, options)
        if flag is not None and not has_value:
            option, value = flag
        elif flag is not None:
            raise WrongValues([(name, value, f"it without a value, or {_opposite(name)}")])
        elif name in options:
            option = options[name]
            if not has_value:
                # What begins with one dash may be a negative number, or a list of them.
                if not rest or rest[0].startswith("--"):
                    raise WrongValues([(name, None, f"{allowed(model, option.field)} after it")])
                value = rest.pop(0)
        elif name in FLAGS:
            raise FlagMisplaced(name, command)
        elif word.startswith("-"):
            raise OptionUnknown(name, command, _near(name, options))
        else:
            raise WordUnexpected(word, command)
        before = given.setdefault(option.field, [])
        if before and option.kind not in (list, dict):
            raise OptionRepeated(name)
        before.append(value)
    for option in {option.field: option for option in options.values()}.values():
        if option.field in given:
            values[option.field] = _value(option, given[option.field], model)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise WrongValues(_faults(error, model, given)) from None


def spelled(field: str) -> str:
    """The option of a field."""
    return "--" + field.replace("_", "-")


def _options(model: type[BaseModel]) -> dict[str, _Option]:
    """Every way to write an option, and what it is."""
    found: dict[str, _Option] = {}
    for field, info in model.model_fields.items():
        option = _Option(field, *_kind(info))
        alias = info.validation_alias
        names = [str(name) for name in alias.choices] if isinstance(alias, AliasChoices) else [field]
        found |= {spelled(name): option for name in names}
    return found


def _kind(info: FieldInfo) -> tuple[type, bool]:
    wanted = info.annotation
    parts = get_args(wanted) if get_origin(wanted) in (Union, types.UnionType) else (wanted,)
    bare = next(part for part in parts if part is not type(None))
    origin = get_origin(bare) or bare
    kind = bool if origin is bool else list if origin in (list, tuple) else dict if origin is dict else str
    return kind, type(None) in parts


def _flag(name: str, options: dict[str, _Option]) -> tuple[_Option, str] | None:
    """A flag and what it is set to; None if the name is no flag."""
    if (option := options.get(name)) is not None and option.kind is bool:
        return option, "true"
    bare = "--" + name.removeprefix("--no-")
    if name.startswith("--no-") and (option := options.get(bare)) is not None and option.kind is bool:
        return option, "false"
    return None


def _opposite(name: str) -> str:
    return f"--{name.removeprefix('--no-')}" if name.startswith("--no-") else f"--no-{name.removeprefix('--')}"


def _near(name: str, options: dict[str, _Option]) -> str | None:
    """The option that was probably meant: another spelling, one that it begins, or one that looks like it."""
    bare = "--" + name.lstrip("-").replace("_", "-").lower()
    flags = [_opposite(one) for one, option in options.items() if option.kind is bool]
    known = [*options, *flags]
    begun = [one for one in known if one.startswith(bare)] if len(bare) > 4 else []
    return next(iter([one for one in known if one == bare] or begun or get_close_matches(bare, known, n=1)), None)


def _value(option: _Option, given: list[str], model: type[BaseModel]) -> Any:
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


def _parts(option: _Option, text: str, model: type[BaseModel]) -> list[Any]:
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


def _faults(
    error: ValidationError, model: type[BaseModel], given: dict[str, list[str]]
) -> list[tuple[str, str | None, str]]:
    """What is wrong with the values, an option each."""
    fields = dict.fromkeys(str(fault["loc"][0]) for fault in error.errors())
    return [(spelled(f), ",".join(given[f]) if f in given else None, allowed(model, f)) for f in fields]


def _help(model: type[BaseModel], command: str) -> str:
    parser = ArgumentParser(
        prog=f"routecal {command}",
        usage=f"routecal {command} [options]",
        description=model.__doc__,
        formatter_class=lambda prog: HelpFormatter(prog, max_help_position=30, width=110),
        add_help=False,
    )
    parser.add_argument("-h", "--help", action="store_true", help="show this")
    names: dict[str, list[str]] = {}
    options = _options(model)
    for name, option in options.items():
        names.setdefault(option.field, []).append(name)
    for field, info in model.model_fields.items():
        default = info.get_default(call_default_factory=True)
        text = info.description or ""
        if info.is_required():
            text += " (required)"
        elif default not in (None, [], {}, ()):
            shown = ",".join(map(str, default)) if isinstance(default, list | tuple) else default
            text += f" (default: {shown})"
        keywords: dict[str, Any] = {"dest": field, "help": text.replace("%", "%%")}
        if options[names[field][0]].kind is bool:
            parser.add_argument(*names[field], action=BooleanOptionalAction, **keywords)
        else:
            parser.add_argument(*names[field], metavar=_metavar(model, field), **keywords)
    return parser.format_help()


def _metavar(model: type[BaseModel], field: str) -> str:
    """Choices where there are few, else the name."""
    words = allowed(model, field)
    choices = words.removeprefix("one of ").replace(", ", ",")
    return f"{{{choices}}}" if words.startswith("one of ") else field.upper()
