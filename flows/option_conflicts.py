"""Options that contradict each other, or of which one would be ignored without a word."""

from collections.abc import Sequence
from typing import Any

from routecal.flows.demo_params import DemoInputs
from routecal.flows.engine_params import EngineParams, check_engine
from routecal.flows.errors import OptionsConflict, WrongValues
from routecal.flows.form import Params
from routecal.flows.import_params import ImportParams
from routecal.flows.night_params import RecalibrateParams
from routecal.flows.option_names import spelled
from routecal.flows.oracle_params import (
    AnsweringParams,
    JudgeParams,
    LabelParams,
    OracleParams,
    ProviderParams,
    QueryParams,
    RejudgeParams,
)
from routecal.flows.params import HeadParams, RouterParams, TrainParams
from routecal.flows.result_params import ExportParams
from routecal.flows.threshold_params import EscalationParams
from routecal.flows.trial_params import TrialParams
from routecal.storage.column_names import mapping_of
from routecal.storage.eval_logs.formats import FORMATS
from routecal.storage.eval_logs.sample import TABLE_COLUMNS
from routecal.tasks.errors import NothingToPlan, OptionMissing
from routecal.tasks.extras import require
from routecal.tasks.oracle.oracle_registry import ORACLES
from routecal.tasks.oracle.providers.address import address_of

# Options of the head that only one reward reads.
_OF_REWARD = {"reward_alpha": "beta", "reward_beta": "beta", "cost_ratio": "cost_weighted"}
# Options that a mode of `train` does not read.
_UNREAD_IN_MODE = {
    "sft": ("init_checkpoint", "preset", "reward_type", *_OF_REWARD),
    "rl": ("hidden_units", "activation", "residual", "pca", "folds", "members", "block"),
    "all": ("init_checkpoint",),
}


def _head(params: HeadParams) -> None:
    if params.folds in (1, 2):
        raise WrongValues([("--folds", str(params.folds), "0 for one head on fixed splits, or 3 to 20")])
    if isinstance(params, TrainParams) and params.mode == "sft":
        return
    reward = params.reward_type or ("brier" if params.preset == "proper" else "linear")
    for field, wanted in _OF_REWARD.items():
        if reward != wanted and _is_given(params, field):
            raise OptionsConflict(
                f"{spelled(field)} applies only to reward {wanted}, and the reward is {reward}",
                f"add --reward-type {wanted}, or leave it out",
            )


def _train(params: TrainParams) -> None:
    for field in _UNREAD_IN_MODE[params.mode]:
        if _is_given(params, field):
            raise OptionsConflict(
                f"--mode {params.mode} does not read {spelled(field)}", "leave it out, or choose another --mode"
            )
    if params.run is not None and params.labels is not None:
        raise OptionsConflict("--labels takes the place of --run", "give one of the two")
    if params.data_file is None:
        if params.router_path is not None:
            raise OptionsConflict("--router-path applies only with --data-file", "add that, or leave it out")
        return
    if params.router_path is None:
        raise OptionMissing("router for the data file", "name its folder with --router-path")
    for field in ("run", "queries", "labels", "features"):
        if _is_given(params, field):
            raise OptionsConflict(f"--data-file takes the place of {spelled(field)}", "give one of the two")


def _reading(params: RouterParams | TrialParams) -> None:
    layers, poolings = list(params.layers), list(params.poolings)
    if 0 in layers:
        raise WrongValues([("--layers", commas(layers), "1 for the first layer, 2 for the next, or -1 for the last")])
    for field, values in (("layers", layers), ("poolings", poolings)):
        if len(set(values)) < len(values):
            raise WrongValues([(spelled(field), commas(values), "each of them once")])


def _trial(params: TrialParams) -> None:
    for field in ("sets", "routers"):
        values = getattr(params, field)
        if len(set(values)) < len(values):
            raise WrongValues([(spelled(field), commas(values), "each of them once")])


def _oracle(params: AnsweringParams) -> None:
    read_by: dict[str, list[str]] = {}
    for oracle in ORACLES.values():
        for field in (*oracle.reads, *(oracle.options.model_fields if oracle.options else ())):
            read_by.setdefault(field, []).append(oracle.name)
    for field, oracles in read_by.items():
        if params.oracle not in oracles and _is_given(params, field):
            names = " or ".join(oracles)
            raise OptionsConflict(
                f"{spelled(field)} applies only to --oracle {names}, and the oracle is {params.oracle}",
                f"set --oracle {names}, or leave {spelled(field)} out",
            )


def _provider(params: OracleParams | RejudgeParams) -> None:
    oracle = ORACLES[params.oracle]
    oracle.check(params)
    if oracle.api and "vertex" not in oracle.reads and (params.vertex or params.vertex_project):
        raise OptionsConflict("Vertex AI serves --oracle gemini alone", "leave out --vertex and --vertex-project")
    if params.vertex and params.vertex_project is None:
        raise OptionMissing("project for Vertex", "name it with --vertex-project")
    if params.vertex_project is not None and not params.vertex:
        raise OptionsConflict("--vertex-project applies only with --vertex", "add --vertex, or leave it out")
    if params.base_url is not None:
        address_of(params.base_url)


def _judges(params: JudgeParams) -> None:
    if params.second_judge is None and (params.third_judge or params.always_second or params.judge_below is not None):
        raise OptionMissing("second judge", "name one with --second-judge, or leave out what asks for it")


def _columns(params: QueryParams | RecalibrateParams) -> None:
    mapping_of(params.columns)


def _label(params: LabelParams) -> None:
    if params.dry_run and ORACLES[params.oracle].api is None:
        raise NothingToPlan(params.oracle)
    if params.on is not None and ORACLES[params.oracle].api is not None:
        raise OptionsConflict(
            f"--on spreads work over processes, and --oracle {params.oracle} waits for an API in one, which holds the "
            "whole quota and the budget",
            "leave --on out; commands side by side share a quota with --quota",
        )
    if params.dry_run and params.audit is not None:
        raise OptionsConflict("--dry-run labels nothing, so --audit has nothing to draw from", "give one of the two")
    if params.audit is None and _is_given(params, "audit_file"):
        raise OptionsConflict("--audit-file is written only with --audit", "add --audit N, or leave it out")


def _demo(params: DemoInputs) -> None:
    require("demo")


def _money(params: EscalationParams) -> None:
    words = [field for field in ("budget", "call_rate", "answer_value") if getattr(params, field) is not None]
    promise = [field for field in ("risk", "at_most", "probability") if _is_given(params, field)]
    # Any of these alone says where the threshold lies.
    if len(several := [*words, *promise[:1]]) > 1 and words:
        raise OptionsConflict(
            f"{spelled(several[0])} alone decides what the large model serves, so {spelled(several[1])} would be "
            "ignored",
            "give one of the two",
        )
    medium, large = params.medium_price, params.large_price
    if medium is not None and large is not None and medium > large:
        raise OptionsConflict(
            f"--medium-price {medium:g} is above --large-price {large:g}, and escalating saves only where the large "
            "model is the dearer one",
            "exchange the two; where the large model really is cheaper, let it serve every query",
        )


def _export(params: ExportParams) -> None:
    unread = ("held_out",) if params.to == "switchyard" else ("head", "encoder")
    for field in unread:
        if _is_given(params, field):
            raise OptionsConflict(f"--to {params.to} does not read {spelled(field)}", "leave it out, or change --to")
    if params.head is not None and params.run is not None:
        raise OptionsConflict("--head takes the place of --run", "give one of the two")


def _import(params: ImportParams) -> None:
    mapping_of(params.columns, TABLE_COLUMNS)
    if params.log_format not in FORMATS:
        raise WrongValues([("--from", params.log_format, f"one of {', '.join(FORMATS)}")])
    for field in ("scorer", "query_field", "columns"):
        if _is_given(params, field) and field not in FORMATS[params.log_format].choices:
            raise OptionsConflict(
                f"--from {params.log_format} does not read {spelled(field)}", "leave it out, or change --from"
            )


def _is_given(params: Params, field: str) -> bool:
    """Whether a value was chosen: a form sends the defaults as well."""
    return bool(getattr(params, field) != type(params).model_fields[field].default)


def commas(values: Sequence[Any]) -> str:
    return ",".join(map(str, values))


CONFLICTS: tuple[tuple[Any, Any], ...] = (
    (QueryParams, _columns),
    (RecalibrateParams, _columns),
    (LabelParams, _label),
    (AnsweringParams, _oracle),
    (ProviderParams, _provider),
    (JudgeParams, _judges),
    (RouterParams, _reading),
    (TrialParams, _reading),
    (TrialParams, _trial),
    (HeadParams, _head),
    (TrainParams, _train),
    (EscalationParams, _money),
    (ExportParams, _export),
    (ImportParams, _import),
    (DemoInputs, _demo),
    # Last: it may wait for seconds for an answer.
    (EngineParams, check_engine),
)
