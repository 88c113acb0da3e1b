"""Oracles: what finds a query's true policy.

Flows use the names of this module; the rest of the package is its inside. Each name is imported when it is asked for:
torch and SDKs are heavy, and a run needs few of them.

    run_work            a run over all rows of a `label_work` or `rejudge_work`, resumable: (labels, why it stopped)
    plan_labels         what a run would take, before anything is paid
    ...Oracle, ApiJudges, ModelSpec, JudgeSpec      who is asked, and with what: part of the labels' cache key
    Pace                how fast, how dear and which way: changes no label
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from routecal.tasks.oracle.api_oracle import ApiJudges, ApiOracle, judge_of
    from routecal.tasks.oracle.engine.pace import Pace
    from routecal.tasks.oracle.engine.stop_reasons import LabellingStopped
    from routecal.tasks.oracle.grading.cascade import prompt_versions
    from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec
    from routecal.tasks.oracle.label_shards import check_labelled
    from routecal.tasks.oracle.labelling_plan import plan_labels
    from routecal.tasks.oracle.labelling_run import label_work, rejudge_work, run_work
    from routecal.tasks.oracle.labelling_summary import result_line
    from routecal.tasks.oracle.local_oracle import LocalOracle
    from routecal.tasks.oracle.oracle_registry import ORACLES
    from routecal.tasks.oracle.oracle_spec import OracleSpec
    from routecal.tasks.oracle.planning.forecast import LabellingPlan
    from routecal.tasks.oracle.planning.plan_text import plan_lines
    from routecal.tasks.oracle.prompt_files import prompts_sha256
    from routecal.tasks.oracle.rejudge_shards import changes, queries_of

__all__ = [
    "ORACLES",
    "ApiJudges",
    "ApiOracle",
    "JudgeSpec",
    "LabellingPlan",
    "LabellingStopped",
    "LocalOracle",
    "ModelSpec",
    "OracleSpec",
    "Pace",
    "changes",
    "check_labelled",
    "judge_of",
    "label_work",
    "plan_labels",
    "plan_lines",
    "prompt_versions",
    "prompts_sha256",
    "queries_of",
    "rejudge_work",
    "result_line",
    "run_work",
]

_HOMES = {
    "ORACLES": "oracle_registry",
    "ApiJudges": "api_oracle",
    "ApiOracle": "api_oracle",
    "JudgeSpec": "grading.judging",
    "LabellingStopped": "engine.stop_reasons",
    "LocalOracle": "local_oracle",
    "ModelSpec": "grading.judging",
    "OracleSpec": "oracle_spec",
    "Pace": "engine.pace",
    "LabellingPlan": "planning.forecast",
    "changes": "rejudge_shards",
    "check_labelled": "label_shards",
    "judge_of": "api_oracle",
    "label_work": "labelling_run",
    "plan_labels": "labelling_plan",
    "prompt_versions": "grading.cascade",
    "prompts_sha256": "prompt_files",
    "queries_of": "rejudge_shards",
    "rejudge_work": "labelling_run",
    "run_work": "labelling_run",
    "result_line": "labelling_summary",
    "plan_lines": "planning.plan_text",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
