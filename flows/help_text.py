"""What `--help` prints, and the argparse parsers that say it; shell completion is made of the same parsers by shtab."""

from argparse import ArgumentParser, BooleanOptionalAction, HelpFormatter
from collections.abc import Iterable, Sequence
from inspect import cleandoc
from typing import Any

from pydantic.fields import FieldInfo

from routecal.flows.cli_options import COMMON
from routecal.flows.commands import COMMANDS, DEPLOYED_COMMANDS
from routecal.flows.errors import WrongValues
from routecal.flows.form import Params, allowed
from routecal.flows.option_names import RENAMED, options_of, spelled

WIDTH = 110
SHELLS = ("bash", "zsh", "fish")
ENDING = """
Artifacts go to $ROUTECAL_HOME (default ./artifacts). What is finished is never done twice: after an interruption,
repeat the same command and it goes on where it stopped. Before COMMAND, --refresh recomputes everything and --verbose
shows Prefect's log. `routecal completion bash|zsh|fish` prints a script that completes commands and options.
"""


def overview() -> str:
    """The list of all commands."""
    lines = [
        "usage: routecal COMMAND [options]        routecal COMMAND --help        routecal --version",
        "",
        "Calibrated confidence for a frozen LLM router.",
    ]
    group = ""
    for name, command in COMMANDS.items():
        if command.group != group:
            group = command.group
            lines += ["", group]
        lines.append(f"  {name:<13} {summary(command.params)}")
    for group, commands in DEPLOYED_COMMANDS.items():
        lines += ["", group, *(f"  {name:<13} {text}" for name, text in commands.items())]
    return "\n".join(lines) + "\n" + ENDING


def summary(params: type[Params]) -> str:
    """The first paragraph of what a parameter model says of its command, without the full stop."""
    return " ".join(cleandoc(params.__doc__ or "").split("\n\n")[0].split()).rstrip(".")


def command_help(name: str, *, is_full: bool) -> str:
    """The help of one command: what most runs need, or every option."""
    parser = ArgumentParser(**heading(name, is_full=is_full))
    add_options(parser, name, is_full=is_full)
    for title, listed in COMMANDS[name].params.listing().items():
        group = parser.add_argument_group(title)
        for one, what in listed.items():
            group.add_argument(one, help=what.replace("%", "%%"))
    return parser.format_help()


def heading(name: str, *, is_full: bool) -> dict[str, Any]:
    """What a parser of the command begins and ends its help with."""
    model = COMMANDS[name].params
    usage = "".join(f" {spelled(field)} {_metavar(model, field)}" for field in _required(model))
    usage += f" [{model.POSITIONAL.upper()}]" if model.POSITIONAL else ""
    n_more = sum(map(len, model.advanced().values()))
    return {
        "prog": f"routecal {name}",
        "usage": f"routecal {name}{usage} [options]",
        "description": cleandoc(model.__doc__ or ""),
        "epilog": f"{n_more} more options: routecal {name} --help-all" if n_more and not is_full else None,
        "formatter_class": lambda prog: _Formatter(prog, max_help_position=30, width=WIDTH),
        "add_help": False,
    }


def add_options(parser: ArgumentParser, name: str, *, is_full: bool) -> None:
    """Give a parser the options of a command, in the groups that its help shows."""
    model = COMMANDS[name].params
    required = _required(model)
    parser.add_argument_group("example", f"routecal {name} {model.EXAMPLE}".rstrip())
    _add(parser, "required", model, required)
    _add(parser, "options", model, [field for field in model.first() if field not in required])
    for group, fields in model.advanced().items() if is_full else ():
        _add(parser, f"advanced: {group}", model, fields)
    every = parser.add_argument_group("options of every command")
    every.add_argument("--config", metavar="FILE", help=COMMON["--config"])
    for flag in ("--json", "--help-all"):
        every.add_argument(flag, action="store_true", help=COMMON[flag])
    every.add_argument("-h", "--help", action="store_true", help=COMMON["--help"])


def _required(model: type[Params]) -> list[str]:
    return [field for field, info in model.model_fields.items() if info.is_required()]


class _Formatter(HelpFormatter):
    """Keeps the paragraphs of a description apart."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(super(_Formatter, self)._fill_text(part, width, indent) for part in text.split("\n\n"))


def _add(parser: ArgumentParser, title: str, model: type[Params], fields: Iterable[str]) -> None:
    group = parser.add_argument_group(title)
    options = options_of(model)
    for field in fields:
        names = [name for name, option in options.items() if option.field == field and name not in RENAMED]
        info = model.model_fields[field]
        keywords: dict[str, Any] = {"dest": field, "help": _text(info).replace("%", "%%")}
        if options[names[0]].kind is bool:
            group.add_argument(*names, action=BooleanOptionalAction, **keywords)
        elif (words := allowed(model, field)).startswith("one of "):
            group.add_argument(*names, choices=words.removeprefix("one of ").split(", "), **keywords)
        else:
            group.add_argument(*names, metavar=_metavar(model, field), **keywords)


def _text(info: FieldInfo) -> str:
    """What a field is, and its default where the description does not say it."""
    default = info.get_default(call_default_factory=True)
    text = info.description or ""
    if info.is_required() or default in (None, [], {}, ()) or "Default:" in text:
        return text
    match default:
        case bool():
            shown = "on" if default else "off"
        case float():
            shown = f"{default:g}"
        case list() | tuple():
            shown = ",".join(map(str, default))
        case _:
            shown = str(default)
    return f"{text} Default: {shown}."


def _metavar(model: type[Params], field: str) -> str:
    """N or X for numbers, else the name."""
    words = allowed(model, field)
    kinds = {"a whole number": "N", "a number": "X", "one or more of": "A,B", "NAME=VALUE": "NAME=VALUE"}
    return next((short for long, short in kinds.items() if words.startswith(long)), field.upper())


def completion(words: Sequence[str]) -> str:
    """The script for the shell that is named; its first lines say where to put it.

    Raises:
        WrongValues: not exactly one shell that there is a script for.
    """
    import shtab  # of an extra, which help does without

    if len(words) != 1 or words[0] not in SHELLS:
        raise WrongValues([("completion", " ".join(words) or None, f"one of {', '.join(SHELLS)}")])
    parser = ArgumentParser(prog="routecal", add_help=False)
    commands = parser.add_subparsers()
    for name, command in COMMANDS.items():
        one = commands.add_parser(name, help=summary(command.params), **heading(name, is_full=True))
        add_options(one, name, is_full=True)
        for action in one._actions:
            if action.nargs is None and action.choices is None:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    for group in DEPLOYED_COMMANDS.values():
        for name, text in group.items():
            commands.add_parser(name, help=text)
    commands.add_parser("completion", help="Print a completion script").add_argument("shell", choices=SHELLS)
    return str(shtab.complete(parser, words[0]))
