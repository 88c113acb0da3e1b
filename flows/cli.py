"""The command line: every flow by its name, its options made from the flow's own parameter model.

Exit codes: 0 done, 2 something the user can put right (one sentence on standard error), 75 stopped before the end and
resumable as it is, 130 Ctrl-C, 143 SIGTERM, 1 a fault of ours.
"""

import atexit
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

HELP = """usage: routecal COMMAND [options]        routecal COMMAND --help

Calibrated confidence for a frozen LLM router.

the whole way
  demo           everything, on world-facts questions and a real Gemma-3-270M; needs nothing
  calibrate      label, extract, train, evaluate: from your queries to a calibrated head and its report

each step alone
  label          find the true policy of every query (oracle: replay, local, gemini, openai);
                 --dry-run says what that takes, --audit N draws a sample for people to grade
  extract        read policy, logits and hidden state of every query off the frozen router
  train          train the confidence head (SFT, RL, recalibration) on labels and features
  evaluate       measure a head on the test split, against baselines
  train-router   make a router, for people who have none

proof
  benchmark      every method on recorded outcomes: a table with intervals, noise floors and ranks, with two routers
  ablate         the default head with one choice changed at a time: a forest plot, Markdown and LaTeX tables

every night
  recalibrate    gather new queries, check the serving head, label, train, and promote a head that is no worse
  heads          which head serves, and every decision that led there
  promote        promote a candidate that waits for approval, or was refused
  rollback       put the head back that served before

labels from an API
  audit          how good the judge is, by the sample that people have graded
  rejudge        grade the stored answers again with other judges; asks for no answer
  ledger         what was paid, by day, model and stage

afterwards
  stats          dataset balance and reliability of the newest run
  export         the newest examples as JSONL

Artifacts go to $ROUTECAL_HOME (default ./artifacts). What is finished is never done twice: repeat the same command
after an interruption and it goes on where it stopped. --refresh before COMMAND recomputes everything,
--verbose shows Prefect's log.
"""


# From here these run without Prefect, whose server takes longer to start than they do.
QUICK = {"audit", "ledger", "stats", "export", "heads", "promote", "rollback"}


# Codes of runs that stopped for one of these reasons: the same command, later, goes on.
_STOPPED = {"DayQuotaReached": 75, "NoProgress": 75, "NoAnswers": 75, "ShardIncomplete": 75, "Interrupted": 130}


class Command(NamedTuple):
    """Where a command lives: its flow, the model of its parameters, and what of `flows.show` prints its result."""

    module: str
    flow: str
    params: str
    params_in: str = "flows.params"
    shown_by: str = "made"


COMMANDS = {
    "demo": Command("flows.demo", "demo", "DemoParams", shown_by="evaluated"),
    "calibrate": Command("flows.calibrate", "calibrate", "CalibrateParams", shown_by="evaluated"),
    "label": Command("flows.label", "label", "LabelParams", "flows.oracle_params", "labelled"),
    "extract": Command("flows.extract", "extract", "ExtractParams"),
    "train": Command("flows.train", "train", "TrainParams"),
    "evaluate": Command("flows.evaluate", "evaluate", "EvaluateParams", shown_by="evaluated"),
    "recalibrate": Command("flows.recalibrate", "recalibrate", "RecalibrateParams", "flows.night_params", "told"),
    "heads": Command("flows.registry", "heads", "HeadsParams", "flows.night_params", "table"),
    "promote": Command("flows.registry", "promote", "PromoteParams", "flows.night_params", "decided"),
    "rollback": Command("flows.registry", "rollback", "RollbackParams", "flows.night_params", "decided"),
    "train-router": Command("flows.train_router", "train_router_flow", "TrainRouterParams"),
    "benchmark": Command("flows.benchmark", "benchmark", "BenchmarkParams", "flows.trial_params", "compared"),
    "ablate": Command("flows.ablate", "ablate", "AblateParams", "flows.trial_params", "compared"),
    "audit": Command("flows.audit", "audit", "AuditParams", "flows.oracle_params", "audited"),
    "rejudge": Command("flows.rejudge", "rejudge", "RejudgeParams", "flows.oracle_params", "rejudged"),
    "ledger": Command("flows.ledger", "ledger", "LedgerParams", "flows.oracle_params", "table"),
    "stats": Command("flows.stats", "stats", "StatsParams", shown_by="tables"),
    "export": Command("flows.export", "export", "ExportParams", shown_by="exported"),
}


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


def surroundings(*, verbose: bool, refresh: bool) -> dict[str, str]:
    """Variables of Prefect and of the libraries for a run from here.

    State and results live beside the artifacts, so that every run of a project, from here, a worker or cron, resumes
    from the same ones. Without PREFECT_API_URL a server is started for the run and ends with it.
    """
    from storage.layout import Home

    home = Home.from_env().root
    local = home if "://" not in home else "artifacts"
    return {
        "PREFECT_HOME": os.path.abspath(".prefect"),
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": os.path.join(local, "results"),
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",  # of how a flow failed, which Prefect would pickle
        "PREFECT_LOGGING_LEVEL": "INFO" if verbose else "CRITICAL",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_TASKS_REFRESH_CACHE": "true" if refresh else "false",
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "ARROW_DEFAULT_MEMORY_POOL": "system",  # Arrow's own pool keeps what it has freed: 40 MiB when labelling
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait for each other sleep: on a busy machine 5 times as fast
        "TQDM_DISABLE": "1",  # bars of libraries, which would fight with ours
    }


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

    print(f"routecal: {plain(sentence, at_most=8000)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    console()
