"""Flow `evaluate`: what a head is worth on the test split, against the baselines."""

from typing import Any

from prefect import flow
from pydantic import BaseModel, Field

from routecal.calib.settings import Reading
from routecal.flows.param_checks import check
from routecal.flows.params import EvaluateParams
from routecal.flows.run_messages import completed
from routecal.flows.threshold_params import EscalationParams
from routecal.storage.artifact import Artifact
from routecal.tasks import runs
from routecal.tasks.escalate import escalate
from routecal.tasks.escalation_result import serving_rule
from routecal.tasks.evaluate import ESCALATED, FINAL, Evaluation, predict, score, score_slices
from routecal.tasks.evaluation_summary import publish_evaluation
from routecal.tasks.evaluation_verdict import headline
from routecal.tasks.extract import router_of
from routecal.tasks.familiarity import fit_familiarity
from routecal.tasks.figures import draw_figures
from routecal.tasks.outcome import OUTCOME, predict_outcomes
from routecal.tasks.pack import pack_router
from routecal.tasks.progress import underway
from routecal.tasks.report import write_report
from routecal.tasks.train import held_out_splits, refer_head

# What an evaluation reads beside heads.
INPUTS = ("examples", "labels", "features")
NIGHTS_HEAD = "head"


class Evaluated(BaseModel, frozen=True):
    """What a run ends with."""

    run_id: str
    verdict: str = Field(description="the bottom line: money first, then calibration")
    report: str
    head: Artifact
    calibrated: Artifact | None = None
    evaluation: Evaluation
    data: str = Field(default="", description="of which run, where a step alone was run")


@flow(name="evaluate", flow_run_name="evaluate {params.head}")
def evaluate(params: EvaluateParams) -> Evaluated:
    """Evaluate the heads of one run, or the head named, on that run's examples."""
    check(params)
    run_id = runs.start("evaluate")
    if params.head is None:
        source, inputs = runs.run_with(*INPUTS, "heads", run_id=params.run)
        del inputs["heads"]
        # A night records its only head without a stage.
        recorded = {name: head for name, head in runs.recorded(source).items() if head.kind == "heads"}
        heads = {FINAL if name == NIGHTS_HEAD else name: head for name, head in recorded.items()}
    else:
        head = refer_head(params.head)
        source, inputs = runs.run_with(*INPUTS, run_id=params.run or runs.run_of(head, *INPUTS))
        heads = {FINAL: head}
    inputs |= {name: made for name, made in runs.recorded(source).items() if name == OUTCOME}
    facts = {"Data": f"labels, features and examples of run {source}"}
    return with_headline(evaluate_heads(run_id, inputs, heads, facts, params, seed=params.seed))


def with_headline(result: Evaluated) -> Evaluated:
    """End a flow run with the verdict as its message."""
    router = {} if result.calibrated is None else {"router": result.calibrated.uri}
    return completed(result, result.verdict, head=result.head.uri, **router, report=result.report)


def evaluate_heads(
    run_id: str,
    inputs: dict[str, Artifact],
    heads: dict[str, Artifact],
    facts: dict[str, Any],
    params: EscalationParams,
    *,
    seed: int,
    reading: Reading | None = None,
) -> Evaluated:
    """Score `heads`, the one in question last, write the report and record the run.

    Args:
        run_id: names the report.
        inputs: labels, examples and features, the outcome head where there is one, and whatever else belongs in the
            record.
        heads: by name.
        facts: what a reader of the report must know, by title.
        params: prices and margin of the escalation.
        seed: of the bootstrap.
        reading: how `inputs["router"]` read the queries, where this run knows both: the last head is then packed with
            its threshold for `CalibratedRouter`.
    """
    examples = inputs["examples"]
    final = list(heads)[-1]
    with underway("evaluate"):
        predictions = predict(examples, inputs["features"], heads)
        found = score(predictions, seed)
        outcomes = predict_outcomes(examples, inputs["features"], inputs[OUTCOME]) if OUTCOME in inputs else None
    methods = [name for name in ESCALATED if name in found.methods and name != final]
    chosen_on = held_out_splits(heads[final])
    escalation = escalate(predictions, examples, [*methods, final], chosen_on, params.terms, outcomes)
    slices = score_slices(predictions, examples, final, seed)
    evaluation = found.model_copy(update={"slices": slices, "escalation": escalation})
    calibrated = None
    if reading is not None and escalation.rule is not None:
        rule = serving_rule(escalation, params.terms, f"{escalation.n_chosen_on} rows of {', '.join(chosen_on)}")
        familiar = fit_familiarity(examples, inputs["features"], heads[final])
        calibrated = pack_router(
            heads[final], inputs["router"], reading, rule, inputs.get(OUTCOME), escalation.basis, familiar
        )
    artifacts = {**inputs, "predictions": predictions, **{f"head: {name}": head for name, head in heads.items()}}
    made = {} if calibrated is None else {"calibrated": calibrated}
    made |= {} if outcomes is None else {"outcome_predictions": outcomes}
    drawn = draw_figures(evaluation, predictions, heads)
    report = write_report(run_id, evaluation, drawn, {**artifacts, **made}, facts)
    publish_evaluation(
        evaluation, report, router_of(inputs["features"]), None if calibrated is None else calibrated.uri
    )
    runs.record_run(run_id, **inputs, predictions=predictions, **heads, **made, report=report, facts=facts)
    return Evaluated(
        run_id=run_id,
        verdict=headline(evaluation),
        report=report,
        head=heads[final],
        calibrated=calibrated,
        evaluation=evaluation,
        data=facts.get("Data", ""),
    )
