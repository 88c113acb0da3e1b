"""The files and folders that options name, and what a router's configuration says of it."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from routecal.flows import path_checks
from routecal.flows.errors import DemoIsACommand, WrongValues
from routecal.flows.form import Params
from routecal.flows.import_params import ImportParams
from routecal.flows.night_params import NightParams, RecalibrateParams
from routecal.flows.option_conflicts import commas
from routecal.flows.option_names import spelled
from routecal.flows.oracle_params import (
    AnsweringParams,
    AuditParams,
    LabelParams,
    OracleParams,
    ProviderParams,
    QueryParams,
    RejudgeParams,
)
from routecal.flows.params import (
    CalibrateParams,
    EvaluateParams,
    RouterParams,
    TrainParams,
    TrainRouterParams,
)
from routecal.flows.result_params import ExportParams
from routecal.flows.threshold_params import ThresholdParams
from routecal.flows.trial_params import TrialParams
from routecal.storage.input_errors import InputMissing
from routecal.tasks.base_models import base_folder
from routecal.tasks.errors import InboxMissing, OptionMissing
from routecal.tasks.oracle.api_oracle import DECISION, LARGE, MEDIUM
from routecal.tasks.oracle.audit.audit_errors import AuditExists
from routecal.tasks.oracle.money.pricing import Prices
from routecal.tasks.oracle.oracle_registry import ORACLES


def _see_demo(path: str, kind: str, command: str) -> None:
    """The demo is a command, and no path; unless somebody has a file of that name."""
    if path == "demo" and not Path(path).exists():
        raise DemoIsACommand(kind, command)


def _see_queries(params: QueryParams) -> None:
    _see_demo(params.queries, "file", "demo")
    path_checks.input_file("--queries", params.queries)


def _see_base(params: TrainRouterParams | TrialParams) -> None:
    path_checks.checkpoint(base_folder(params.base_model))


def _see_layers(params: RouterParams | TrialParams) -> None:
    path = params.router_path if isinstance(params, RouterParams) else base_folder(params.base_model)
    n = path_checks.size_of(path, "num_hidden_layers", "n_layer", "n_layers")
    if n is not None and any(abs(layer) > n for layer in params.layers):
        raise WrongValues([("--layers", commas(params.layers), f"1 to {n}, or -1 to -{n}: {path} has {n} layers")])


def _see_width(params: CalibrateParams | RecalibrateParams) -> None:
    """More components than the hidden states are wide, before they are extracted and labels paid for."""
    width = path_checks.size_of(params.router_path, "hidden_size", "n_embd", "d_model", "dim")
    if params.pca is None or width is None:
        return
    # The head may read several blocks side by side, beside the one that is always kept.
    widest = width * (1 + len(params.layers) * len(params.poolings))
    if params.pca > widest:
        raise WrongValues([("--pca", str(params.pca), f"at most {width}, which is how wide the router's states are")])


def _see_inbox(params: NightParams) -> None:
    _see_demo(params.inbox, "folder", "demo-night")
    local = path_checks.local_path(params.inbox)
    if local is not None and not local.is_dir():
        raise InboxMissing(params.inbox)


def _see_night_outcomes(params: RecalibrateParams) -> None:
    """`label` finds outcomes beside its queries; an inbox is a folder of queries alone."""
    if params.oracle == "replay" and params.outcomes is None:
        raise OptionMissing(
            "recorded outcomes for the queries of the inbox", "name their file with --outcomes, or choose an --oracle"
        )


def _see_provider(params: OracleParams | RejudgeParams) -> None:
    """Prices that can be read, and where money is capped or forecast, one for every model that will be asked."""
    path_checks.input_file("--prices", params.prices)
    api = ORACLES[params.oracle].api
    if api is None or getattr(params, "finished_only", False):
        return
    prices = Prices.load(params.prices)
    if params.max_usd is not None or getattr(params, "dry_run", False):
        prices.check(_models(params), at=datetime.now(UTC), provider=api.provider(params))


def _models(params: OracleParams | RejudgeParams) -> list[str]:
    """The models that will be asked, once each."""
    named = (params.medium_model or MEDIUM, params.large_model or LARGE) if isinstance(params, OracleParams) else ()
    first = params.judge_model or (DECISION if params.judge == "decision" else (*named, MEDIUM)[0])
    return list(dict.fromkeys(filter(None, (*named, first, params.second_judge, params.third_judge))))


def _see_sheet(params: LabelParams) -> None:
    if params.audit is not None:
        # People's work may be in it.
        if (sheet := path_checks.local_path(params.audit_file)) is not None and sheet.exists():
            raise AuditExists(params.audit_file)
        path_checks.output_file("--audit-file", params.audit_file)


def _see_logs(params: ImportParams) -> None:
    """Logs may be folders; what is written is Parquet."""
    for path in (params.medium, params.large):
        if (local := path_checks.local_path(path)) is not None and not local.exists():
            raise InputMissing(str(path))
    path_checks.output_file("--output", params.output)
    if not params.output.endswith(".parquet"):
        raise WrongValues([("--output", params.output, "a name that ends in .parquet")])


def _paths(see: Callable[..., None], *fields: str, by_option: bool = True) -> Callable[[Params], None]:
    """A look at the paths in these fields; `by_option` for looks that name the option where they refuse."""

    def look(params: Params) -> None:
        for field in fields:
            path = getattr(params, field)
            see(spelled(field), path) if by_option else see(path)

    return look


_checkpoint = partial(_paths, path_checks.checkpoint, by_option=False)
_head = partial(_paths, path_checks.head, by_option=False)
_file, _output_folder = partial(_paths, path_checks.input_file), partial(_paths, path_checks.output_folder)

INPUTS: tuple[tuple[Any, Any], ...] = (
    (QueryParams, _see_queries),
    (NightParams, _see_inbox),
    (RouterParams, _checkpoint("router_path")),
    (RouterParams, _see_layers),
    (CalibrateParams, _see_width),
    (RecalibrateParams, _see_width),
    (AnsweringParams, _file("outcomes")),
    (AnsweringParams, _checkpoint("local_model")),
    (ProviderParams, _see_provider),
    (RecalibrateParams, _see_night_outcomes),
    (LabelParams, _see_sheet),
    (TrainParams, _file("queries", "labels", "features", "data_file")),
    (TrainParams, _checkpoint("router_path")),
    (TrainParams, _head("init_checkpoint")),
    (TrainParams, _output_folder("output_dir")),
    (TrainRouterParams, _see_base),
    (TrainRouterParams, _output_folder("output_dir")),
    (TrialParams, _see_base),
    (TrialParams, _output_folder("output_dir")),
    (TrialParams, _see_layers),
    (TrialParams, _paths(path_checks.input_folder, "data")),
    (ImportParams, _see_logs),
    (RejudgeParams, _file("labels", "queries")),
    (AuditParams, _file("labels", "file")),
    (ThresholdParams, _output_folder("output_dir")),
    (EvaluateParams, _head("head")),
    (ExportParams, _paths(path_checks.output_file, "output_file")),
    (ExportParams, _head("head")),
)
