"""Every command: its parameters, and how to load what it runs and what prints the result.

To add one, write its parameter model and a row below; its help, options, completion and JSON output follow from the
model. What the row names is imported once the options are known to be right, and not before.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from routecal.flows.demo_params import DemoNightParams, DemoParams
from routecal.flows.form import Params
from routecal.flows.import_params import ImportParams
from routecal.flows.night_params import DeclineParams, HeadsParams, PromoteParams, RecalibrateParams, RollbackParams
from routecal.flows.oracle_params import AuditParams, LabelParams, LedgerParams, RejudgeParams
from routecal.flows.params import (
    CalibrateParams,
    EvaluateParams,
    ExtractParams,
    TrainParams,
    TrainRouterParams,
)
from routecal.flows.result_params import ExportParams, StatsParams
from routecal.flows.threshold_params import ThresholdParams
from routecal.flows.trial_params import AblateParams, BenchmarkParams

if TYPE_CHECKING:
    from rich.console import Console

    Run = Callable[..., Any]
    Show = Callable[[Console, Any], None]


class Command(NamedTuple):
    """One command.

    Attributes:
        group: the heading it stands under in the list of commands.
        params: the model of its parameters; the first sentence of its docstring is the command's line in the list.
        load: imports what runs the command and what prints its result, and returns both.
        is_quick: it runs without Prefect, whose server takes longer to start than such a command runs. What runs it is
            no flow, and takes the fields of `params` by name.
    """

    group: str
    params: type[Params]
    load: Callable[[], tuple[Run, Show]]
    is_quick: bool = False


class _Lazy:
    """A module below `routecal` that is imported when a name in it is used; of a package, modules are names too.

    Torch, Prefect, DuckDB and SQLAlchemy take longer to load than help, a refusal or a quick command takes.
    """

    def __init__(self, name: str) -> None:
        self._name = f"routecal.{name}"

    def __getattr__(self, name: str) -> Any:
        module = import_module(self._name)
        return getattr(module, name) if hasattr(module, name) else import_module(f"{self._name}.{name}")


flows, show, tasks = _Lazy("flows"), _Lazy("flows.print_results"), _Lazy("tasks")
by_hand = _Lazy("tasks.night.manual_decisions")

COMMANDS = {
    "demo": Command("Start here", DemoParams, lambda: (flows.demo.demo, show.print_evaluation)),
    "calibrate": Command("Start here", CalibrateParams, lambda: (flows.calibrate.calibrate, show.print_evaluation)),
    "import": Command(
        "Start here", ImportParams, lambda: (tasks.import_logs.import_logs, show.print_written), is_quick=True
    ),
    "label": Command("Single steps", LabelParams, lambda: (flows.label.label, show.print_labels)),
    "extract": Command("Single steps", ExtractParams, lambda: (flows.extract.extract, show.print_artifact)),
    "train": Command("Single steps", TrainParams, lambda: (flows.train.train, show.print_head)),
    "evaluate": Command("Single steps", EvaluateParams, lambda: (flows.evaluate.evaluate, show.print_evaluation)),
    "threshold": Command("Single steps", ThresholdParams, lambda: (flows.threshold.threshold, show.print_threshold)),
    "train-router": Command(
        "Single steps", TrainRouterParams, lambda: (flows.train.train_router_flow, show.print_artifact)
    ),
    "recalibrate": Command("Every night", RecalibrateParams, lambda: (flows.recalibrate.recalibrate, show.print_night)),
    "demo-night": Command("Every night", DemoNightParams, lambda: (flows.demo.demo_night, show.print_night)),
    "heads": Command("Every night", HeadsParams, lambda: (by_hand.heads, show.print_table), is_quick=True),
    "promote": Command("Every night", PromoteParams, lambda: (by_hand.promote, show.print_decision), is_quick=True),
    "decline": Command("Every night", DeclineParams, lambda: (by_hand.decline, show.print_decision), is_quick=True),
    "rollback": Command("Every night", RollbackParams, lambda: (by_hand.roll_back, show.print_decision), is_quick=True),
    "audit": Command(
        "Labels from an API", AuditParams, lambda: (tasks.audit.score_audit, show.print_audit), is_quick=True
    ),
    "rejudge": Command("Labels from an API", RejudgeParams, lambda: (flows.rejudge.rejudge, show.print_rejudged)),
    "ledger": Command("Labels from an API", LedgerParams, lambda: (tasks.spend.spend, show.print_table), is_quick=True),
    "stats": Command("Results of a run", StatsParams, lambda: (tasks.stats.stats, show.print_tables), is_quick=True),
    "export": Command(
        "Results of a run", ExportParams, lambda: (tasks.export.export, show.print_written), is_quick=True
    ),
    "benchmark": Command("Research", BenchmarkParams, lambda: (flows.benchmark.benchmark, show.print_benchmark)),
    "ablate": Command("Research", AblateParams, lambda: (flows.benchmark.ablate, show.print_benchmark)),
}

# What `routecal.__main__` hands on to the deployments, of which flows know nothing.
DEPLOYED_COMMANDS = {
    "Prefect server": {
        "serve": "Start a Prefect server with a worker and all deployments on this machine, until Ctrl-C",
        "deploy": "Put all deployments on the server at PREFECT_API_URL",
    },
    "Router service": {
        "serve-router": "Decide which model answers and relay its answer, in front of both models, until Ctrl-C",
    },
}
# Commands that have no parameter model here.
OTHER_COMMANDS = (*(name for group in DEPLOYED_COMMANDS.values() for name in group), "completion")
