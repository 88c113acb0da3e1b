"""The command line: every flow by its name, its options made from the flow's own parameter model.

Exit codes: 0 done, 2 something the user can put right (one sentence on standard error), 75 stopped before the end and
resumable as it is, 130 Ctrl-C, 143 SIGTERM, 1 a fault of ours.
"""

import atexit
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routecal.flows.cli_options import FLAGS
from routecal.flows.terminal import TERMINATED, end_on_signals, interruptible

if TYPE_CHECKING:
    from routecal.flows.commands import Command, Run, Show
    from routecal.flows.form import Params

# Codes of runs that stopped for one of these reasons: the same command, later, goes on.
_STOPPED = {"DayQuotaReached": 75, "NoProgress": 75, "NoAnswers": 75, "ShardIncomplete": 75, "Interrupted": 130}


def console() -> None:
    """Run the command of `sys.argv` and end the process with its code."""
    end_on_signals()
    code = [1]

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code[0])

    # Registered first, so run last, after Prefect has stopped its server. Its daemon threads still hold every module
    # then, and DuckDB's bindings would print pages about objects that outlive the interpreter.
    atexit.register(leave)
    try:
        code[0] = main(sys.argv[1:])
    except SystemExit:
        code[0] = TERMINATED


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    flags = {flag for flag in FLAGS if flag in argv[:2]}
    words = [word for i, word in enumerate(argv) if not (i < 2 and word in flags)]
    if not words or words[0] in ("-h", "--help", "help"):
        from routecal.flows.help_text import overview

        print(overview(), end="")
        return 0 if words else 2
    if words[0] == "--version":
        from routecal.tasks.version import code_version

        print(f"routecal {code_version()}")
        return 0
    from routecal.flows.cli_options import HelpAsked
    from routecal.root_error import RoutecalError
    from routecal.tasks.extras import require
    from routecal.tasks.oracle.engine.stop_reasons import LabellingStopped

    name, *options = words
    try:
        require("pipeline")
        if name == "completion":
            from routecal.flows.help_text import completion

            print(completion(options))
            return 0
        return _run(name, options, verbose="--verbose" in flags, refresh="--refresh" in flags)
    except HelpAsked as wanted:
        from routecal.flows.help_text import command_help

        print(command_help(name, is_full=wanted.is_full), end="")
        return 0
    except LabellingStopped as stopped:
        return _refuse(str(stopped), _STOPPED.get(stopped.cause, 2))
    except RoutecalError as error:
        return _refuse(str(error))
    except BrokenPipeError:  # whoever reads the output has enough of it, as `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _refuse(
            f"interrupted; what is finished is stored: repeat `routecal {name}`, and it goes on from there", 130
        )
    except Exception as error:
        if "--verbose" in flags:
            raise
        from routecal.flows.prefect_server import server_fault

        if (what := server_fault(error)) is not None:
            return _refuse(
                f"the Prefect server does not answer any more ({what}); start it again and repeat `routecal {name}`, "
                "which goes on where it stopped"
            )

        return _refuse(write_crash_report(error, name), 1)


def _run(name: str, options: Sequence[str], *, verbose: bool, refresh: bool) -> int:
    """Parse the options, check them, run the flow, print what came of it; the exit code.

    Nothing heavy is imported before everything is checked that can be: a mistyped name is refused at once.
    """
    from routecal.flows.cli_options import parse
    from routecal.flows.commands import COMMANDS, OTHER_COMMANDS
    from routecal.flows.errors import CommandUnknown, FlagMisplaced
    from routecal.flows.path_checks import check_home

    if name not in COMMANDS:
        if name in FLAGS:
            raise FlagMisplaced(name, "COMMAND")
        known = tuple(one for one in (*COMMANDS, *OTHER_COMMANDS) if one != name)  # `routecal.flows` serves nothing
        near = get_close_matches(name.lower().replace("_", "-"), known, n=1)
        raise CommandUnknown(name, near[0] if near else None, known)
    command = COMMANDS[name]
    check_home()
    params, as_json, notices = parse(command.params, name, options)
    for notice in notices:
        print(f"routecal: {notice}", file=sys.stderr)
    from routecal.flows.param_checks import check

    check(params)
    if command.is_quick:
        run, show = command.load()
        with interruptible():
            result = run(**dict(params))
    else:
        run, show = _prepared(command, params, verbose=verbose, refresh=refresh)
        result = _run_flow(run, params)
    if as_json:
        from routecal.flows.result_json import as_json as to_json

        print(to_json(result))
    else:
        show(_stdout(), result)
    return 0


def _prepared(command: "Command", params: "Params", *, verbose: bool, refresh: bool) -> "tuple[Run, Show]":
    """The flow and what prints its result, once Prefect is set up and a server answers; a dry run needs none."""
    from routecal.flows.prefect_settings import load_prefect, run_environment, uncollected

    for variable, value in run_environment(verbose=verbose, refresh=refresh).items():
        os.environ.setdefault(variable, value)  # whatever the user set stays
    is_dry = getattr(params, "dry_run", False)
    if not is_dry:
        from routecal.flows.prefect_server import check_given, check_prefect_home
        from routecal.storage.layout import Home

        check_prefect_home()
        check_given()
        Home.from_env().check_writable()
    with uncollected():
        load_prefect()
        flow: Any
        if is_dry:
            flow, show = command.load()
            return flow.fn, show
        from routecal.flows.prefect_server import reach_server

        # Its start and the import of our modules take ten seconds each on two cores: one goes on beside the other.
        wait_for_server = reach_server()
        flow, show = command.load()
    wait_for_server()
    return flow, show


def _run_flow(flow: "Run", params: "Params") -> Any:
    """The result of a flow, with its progress on standard error."""
    from prefect.exceptions import Abort

    from routecal.flows.text_console import console
    from routecal.tasks.progress import progress_shown

    with progress_shown(console(stderr=True)), interruptible():
        try:
            return flow(params)
        except Abort as ended:  # which leaves the run in the state that it was given
            raise ended.__cause__ or ended from None


def _stdout() -> Any:
    """Standard output. A file or a pipe has no width that tables would have to be cut to."""
    from routecal.flows.text_console import console

    return console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 200)


def _refuse(sentence: str, code: int = 2) -> int:
    from routecal.plain_text import plain

    lines = (plain(line) for line in sentence.split("\n"))
    print("routecal: " + "\n".join(lines), file=sys.stderr)
    return code


def write_crash_report(error: BaseException, command: str) -> str:
    """Write the traceback of what nobody foresaw to a file, and say in one sentence what happened and where that is."""
    from routecal.flows.path_checks import local_path
    from routecal.plain_text import plain

    # Beside the artifacts, where those are local.
    home = local_path(os.environ.get("ROUTECAL_HOME") or "./artifacts")
    logs = (home or Path("artifacts")).absolute() / "logs"
    text = "".join(traceback.format_exception(error))
    what = plain(f"{type(error).__name__}: {error}", at_most=300)
    for folder in (logs, Path(tempfile.gettempdir())):
        file = folder / f"{command}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}.txt"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        except OSError:
            continue
        return f"a fault of routecal, not of yours: {what}; please report it with the traceback in {file}"
    return f"a fault of routecal, not of yours: {what}; `routecal --verbose {command} …` prints the traceback"
