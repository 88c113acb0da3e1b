"""The command line: every flow by its name, its options made from the flow's own parameter model.

Exit codes: 0 done, 2 something the user can put right (one sentence on standard error), 75 stopped before the end and
resumable as it is, 130 Ctrl-C, 143 SIGTERM, 1 a fault of ours.
"""

import atexit
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from flows.commands import COMMANDS, HELP, QUICK
from flows.surroundings import surroundings

# Codes of runs that stopped for one of these reasons: the same command, later, goes on.
_STOPPED = {"DayQuotaReached": 75, "NoProgress": 75, "NoAnswers": 75, "ShardIncomplete": 75, "Interrupted": 130}


def console() -> None:
    """Run the command of `sys.argv` and end the process with its code."""
    code = [1]

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code[0])

    # Registered first, so run last, after Prefect has stopped its server. Its daemon threads still hold every module
    # then, and DuckDB's bindings would print pages about objects that outlive the interpreter.
    atexit.register(leave)
    from flows.terminal import TERMINATED, end_on_sigterm

    end_on_sigterm()
    try:
        code[0] = main(sys.argv[1:])
    except SystemExit:
        code[0] = TERMINATED


def restart(name: str) -> None:
    """Become `routecal NAME` with this process's options.

    For `python -m flows.NAME`, which has imported Prefect by now: its settings are read on import, so they must be in
    the environment before.
    """
    os.execv(sys.executable, [sys.executable, "-m", "flows.cli", name, *sys.argv[1:]])


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    flags = {flag for flag in ("--verbose", "--refresh") if flag in argv[:2]}
    arguments = [a for i, a in enumerate(argv) if not (i < 2 and a in flags)]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0 if arguments else 2
    name, *options = arguments
    if name not in COMMANDS:
        return _refuse(f"{name!r} is not a command; choose one of {', '.join(COMMANDS)}")
    _settings(verbose="--verbose" in flags, refresh="--refresh" in flags)
    return _run(name, options)


def _settings(*, verbose: bool, refresh: bool) -> None:
    """Prefect's surroundings, before it is imported; whatever the user set stays."""
    for variable, value in surroundings(verbose=verbose, refresh=refresh).items():
        os.environ.setdefault(variable, value)


def _run(name: str, options: Sequence[str]) -> int:
    """Parse the options, run the flow, print what came of it; the exit code."""
    from pydantic import ValidationError
    from pydantic_settings import CliApp

    from calib.errors import CalibError
    from flows.paper import console
    from flows.terminal import start_server
    from storage.errors import StorageError
    from tasks.errors import TaskError
    from tasks.oracle.engine.stops import LabellingStopped
    from tasks.progress import shown

    command = COMMANDS[name]
    model = getattr(importlib.import_module(command.params_in), command.params)
    try:
        params = CliApp.run(_named(model, name), cli_args=list(options))
    except ValidationError as error:
        return _refuse(_sentence(error))
    # argparse has printed the help, or what is wrong with the options.
    except SystemExit as done:
        return int(done.code or 0)
    try:
        action: Any = getattr(importlib.import_module(command.module), command.flow)
        if name in QUICK or getattr(params, "dry_run", False):
            action = action.fn
        else:
            start_server()
        with shown(console(stderr=True)):
            result = action(model.model_validate(params.model_dump()))
    except LabellingStopped as stopped:
        return _refuse(str(stopped), _STOPPED.get(stopped.cause, 2))
    except (CalibError, StorageError, TaskError) as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        print(f"interrupted; finished shards are kept: repeat `routecal {name}` to go on", file=sys.stderr)
        return 130
    getattr(importlib.import_module("flows.show"), command.shown_by)(_paper(), result)
    return 0


def _paper() -> Any:
    """Standard output. A file or a pipe has no width that tables would have to be cut to."""
    from flows.paper import console

    return console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 200)


def _named(model: type[Any], name: str) -> type[Any]:
    """The model as options of the command: they come from the command line alone, never from the environment."""
    from pydantic import create_model
    from pydantic_settings import BaseSettings, SettingsConfigDict

    class Options(BaseSettings):
        model_config = SettingsConfigDict(
            case_sensitive=True,
            cli_prog_name=f"routecal {name}",
            cli_avoid_json=True,
            cli_enforce_required=True,
            cli_implicit_flags=True,
            cli_kebab_case=True,
            cli_hide_none_type=True,
        )

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], init_settings: Any, **_others: Any
        ) -> tuple[Any, ...]:
            return (init_settings,)

    return create_model(model.__name__, __base__=(Options, model), __doc__=model.__doc__)


def _sentence(error: Any) -> str:
    """What is wrong with the options, one clause each."""
    clauses = []
    for fault in error.errors():
        option = "--" + "-".join(str(part) for part in fault["loc"][:1]).replace("_", "-")
        given = "" if fault["type"] == "missing" else f" (got {fault['input']!r})"
        clauses.append(f"{option}: {fault['msg'][0].lower()}{fault['msg'][1:]}{given}")
    return "; ".join(clauses)


def _refuse(sentence: str, code: int = 2) -> int:
    from storage.plain import plain

    lines = (plain(line) for line in sentence.split("\n"))
    print("routecal: " + "\n".join(lines), file=sys.stderr)
    return code


if __name__ == "__main__":
    console()
