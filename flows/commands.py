"""Every command: its parameters, and how to load what it runs and what prints the result.

To add one, write its parameter model and a function below that imports the rest; its help, options, completion and
JSON output follow from the model. The function is called once the options are known to be right, and not before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from routecal.flows.demo_params import DemoNightParams, DemoParams
from routecal.flows.form import Params
from routecal.flows.night_params import DeclineParams, HeadsParams, PromoteParams, RecalibrateParams, RollbackParams
from routecal.flows.oracle_params import AuditParams, LabelParams, LedgerParams, RejudgeParams
from routecal.flows.params import (
    CalibrateParams,
    EvaluateParams,
    ExportParams,
    ExtractParams,
    StatsParams,
    TrainParams,
    TrainRouterParams,
)
from routecal.flows.trial_params import AblateParams, BenchmarkParams

if TYPE_CHECKING:
    from rich.console import Console

    Run = Callable[[Any], Any]
    Show = Callable[[Console, Any], None]
    Load = Callable[[], tuple[Run, Show]]


class Command(NamedTuple):
    """One command.

    Attributes:
        group: the heading it stands under in the list of commands.
        params: the model of its parameters; the first sentence of its docstring is the command's line in the list.
        load: imports what runs the command and what prints its result, and returns both.
        example: options of one typical call, for the help.
        is_quick: it runs without Prefect, whose server takes longer to start than such a command runs.
    """

    group: str
    params: type[Params]
    load: Load
    example: str
    is_quick: bool


COMMANDS: dict[str, Command] = {}

# What `routecal.__main__` hands on to the deployments, of which flows know nothing.
SERVER_COMMANDS = {
    "serve": "Start a Prefect server with a worker and all deployments on this machine, until Ctrl-C",
    "deploy": "Put all deployments on the server at PREFECT_API_URL",
}
# Commands that have no parameter model here.
OTHER_COMMANDS = (*SERVER_COMMANDS, "completion")


def command(group: str, params: type[Params], example: str = "", *, is_quick: bool = False) -> Callable[[Load], Load]:
    """Register the decorated function as the command of its name."""

    def register(load: Load) -> Load:
        COMMANDS[load.__name__.replace("_", "-")] = Command(group, params, load, example, is_quick)
        return load

    return register


@command("Start here", DemoParams)
def demo() -> tuple[Run, Show]:
    from routecal.flows import demo, print_results

    return demo.demo, print_results.print_evaluation


@command("Start here", CalibrateParams, "--queries questions.jsonl --router-path ./my-router")
def calibrate() -> tuple[Run, Show]:
    from routecal.flows import calibrate, print_results

    return calibrate.calibrate, print_results.print_evaluation


@command("Single steps", LabelParams, "--queries questions.jsonl --oracle gemini --max-usd 5")
def label() -> tuple[Run, Show]:
    from routecal.flows import label, print_results

    return label.label, print_results.print_labels


@command("Single steps", ExtractParams, "--queries questions.jsonl --router-path ./my-router")
def extract() -> tuple[Run, Show]:
    from routecal.flows import extract, print_results

    return extract.extract, print_results.print_artifact


@command("Single steps", TrainParams, "--output-dir ./my-head")
def train() -> tuple[Run, Show]:
    from routecal.flows import print_results, train

    return train.train, print_results.print_head


@command("Single steps", EvaluateParams, "--medium-price 1 --large-price 20")
def evaluate() -> tuple[Run, Show]:
    from routecal.flows import evaluate, print_results

    return evaluate.evaluate, print_results.print_evaluation


@command("Single steps", TrainRouterParams, "--queries questions.jsonl --base-model ./gemma --output-dir ./my-router")
def train_router() -> tuple[Run, Show]:
    from routecal.flows import print_results, train_router

    return train_router.train_router_flow, print_results.print_artifact


@command("Every night", RecalibrateParams, "--inbox ./inbox --router-path ./my-router --oracle gemini --max-usd 5")
def recalibrate() -> tuple[Run, Show]:
    from routecal.flows import print_results, recalibrate

    return recalibrate.recalibrate, print_results.print_night


@command("Every night", DemoNightParams)
def demo_night() -> tuple[Run, Show]:
    from routecal.flows import demo_night, print_results

    return demo_night.demo_night, print_results.print_night


@command("Every night", HeadsParams, is_quick=True)
def heads() -> tuple[Run, Show]:
    from routecal.flows import print_results, reports

    return reports.heads, print_results.print_table


@command("Every night", PromoteParams, is_quick=True)
def promote() -> tuple[Run, Show]:
    from routecal.flows import print_results, reports

    return reports.promote, print_results.print_decision


@command("Every night", DeclineParams, "--note 'escalates too much'", is_quick=True)
def decline() -> tuple[Run, Show]:
    from routecal.flows import print_results, reports

    return reports.decline, print_results.print_decision


@command("Every night", RollbackParams, is_quick=True)
def rollback() -> tuple[Run, Show]:
    from routecal.flows import print_results, reports

    return reports.rollback, print_results.print_decision


@command("Labels from an API", AuditParams, "--file audit.csv", is_quick=True)
def audit() -> tuple[Run, Show]:
    from routecal.flows import print_results, reports

    return reports.audit, print_results.print_audit


@command("Labels from an API", RejudgeParams, "--judge-model gemini-4-argon --max-usd 5")
def rejudge() -> tuple[Run, Show]:
    from routecal.flows import print_results, rejudge

    return rejudge.rejudge, print_results.print_rejudged


@command("Labels from an API", LedgerParams, is_quick=True)
def ledger() -> tuple[Run, Show]:
    from routecal.flows import print_results, reports

    return reports.ledger, print_results.print_table


@command("Results of a run", StatsParams, is_quick=True)
def stats() -> tuple[Run, Show]:
    from routecal.flows import print_results, reports

    return reports.stats, print_results.print_tables


@command("Results of a run", ExportParams, "--output-file examples.jsonl", is_quick=True)
def export() -> tuple[Run, Show]:
    from routecal.flows import print_results, reports

    return reports.export, print_results.print_export


@command("Research", BenchmarkParams, "--data ./outcomes")
def benchmark() -> tuple[Run, Show]:
    from routecal.flows import benchmark, print_results

    return benchmark.benchmark, print_results.print_benchmark


@command("Research", AblateParams, "--data ./outcomes")
def ablate() -> tuple[Run, Show]:
    from routecal.flows import ablate, print_results

    return ablate.ablate, print_results.print_benchmark
