"""Shell completion: a script that completes commands, options and their values, made by shtab."""

from argparse import ArgumentParser
from collections.abc import Sequence

import shtab

from routecal.flows.commands import COMMANDS, SERVER_COMMANDS
from routecal.flows.errors import WrongValues
from routecal.flows.help_text import add_options, heading, summary

SHELLS = ("bash", "zsh", "fish")


def completion(words: Sequence[str]) -> str:
    """The script for the shell that is named; its first lines say where to put it.

    Raises:
        WrongValues: not exactly one shell that there is a script for.
    """
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
    for name, text in SERVER_COMMANDS.items():
        commands.add_parser(name, help=text)
    commands.add_parser("completion", help="Print a completion script").add_argument("shell", choices=SHELLS)
    return str(shtab.complete(parser, words[0]))
