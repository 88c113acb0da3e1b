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
    from routecal.tasks.oracle.api_oracle import ApiJudges as ApiJudges
    from routecal.tasks.oracle.api_oracle import ApiOracle as ApiOracle
    from routecal.tasks.oracle.api_oracle import judge_of as judge_of
    from routecal.tasks.oracle.engine.pace import Pace as Pace
    from routecal.tasks.oracle.engine.stop_reasons import LabellingStopped as LabellingStopped
    from routecal.tasks.oracle.grading.cascade import prompt_versions as prompt_versions
    from routecal.tasks.oracle.grading.judging import JudgeSpec as JudgeSpec
    from routecal.tasks.oracle.grading.judging import ModelSpec as ModelSpec
    from routecal.tasks.oracle.label_shards import check_labelled as check_labelled
    from routecal.tasks.oracle.labelling_run import label_work as label_work
    from routecal.tasks.oracle.labelling_run import rejudge_work as rejudge_work
    from routecal.tasks.oracle.labelling_run import run_work as run_work
    from routecal.tasks.oracle.labelling_summary import result_line as result_line
    from routecal.tasks.oracle.local_oracle import LocalOracle as LocalOracle
    from routecal.tasks.oracle.oracle_registry import ORACLES as ORACLES
    from routecal.tasks.oracle.oracle_spec import OracleSpec as OracleSpec
    from routecal.tasks.oracle.planning.forecast import LabellingPlan as LabellingPlan
    from routecal.tasks.oracle.planning.plan import plan_labels as plan_labels
    from routecal.tasks.oracle.planning.plan_text import plan_lines as plan_lines
    from routecal.tasks.oracle.prompt_files import prompts_sha256 as prompts_sha256
    from routecal.tasks.oracle.rejudging import changes as changes
    from routecal.tasks.oracle.rejudging import queries_of as queries_of

# Module -> the names that come from it.
_HOMES = {
    "api_oracle": "ApiJudges ApiOracle judge_of",
    "engine.pace": "Pace",
    "engine.stop_reasons": "LabellingStopped",
    "grading.cascade": "prompt_versions",
    "grading.judging": "JudgeSpec ModelSpec",
    "label_shards": "check_labelled",
    "labelling_run": "label_work rejudge_work run_work",
    "labelling_summary": "result_line",
    "local_oracle": "LocalOracle",
    "oracle_registry": "ORACLES",
    "oracle_spec": "OracleSpec",
    "planning.forecast": "LabellingPlan",
    "planning.plan": "plan_labels",
    "planning.plan_text": "plan_lines",
    "prompt_files": "prompts_sha256",
    "rejudging": "changes queries_of",
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names.split():
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
