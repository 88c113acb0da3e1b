"""Flow `evaluate`: what a head is worth on the test split, against the baselines."""

from typing import Any

from prefect import flow
from pydantic import BaseModel, ConfigDict

from flows.checks import check
from flows.params import EscalationParams, EvaluateParams
from storage.artifact import Artifact
from tasks import runs
from tasks.bulletin import publish
from tasks.escalate import escalate, pack_router
from tasks.evaluate import ESCALATED, FINAL, Evaluation, predict, score
from tasks.extract import Reading
from tasks.progress import underway
from tasks.report import write_report
from tasks.slices import score_slices
from tasks.train import held_out_splits, refer_head


class Evaluated(BaseModel):
    """What a run ends with."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    report: str
    head: Artifact
    calibrated: Artifact | None = None
    evaluation: Evaluation


@flow(name="evaluate", flow_run_name="evaluate {params.head}")
def evaluate(params: EvaluateParams) -> Evaluated:
    """Evaluate the newest head, or the one named, on the newest examples."""
    check(params)
    run_id = runs.start("evaluate")
    inputs = runs.newest_together("examples", "labels", "features")
    heads = runs.newest_heads() if params.head is None else {FINAL: refer_head(params.head)}
    return evaluate_heads(run_id, inputs, heads, {}, params, seed=params.seed)


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
        inputs: labels, examples and features, and whatever else belongs in the record.
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
    methods = [name for name in ESCALATED if name in found.methods and name != final]
    chosen_on = held_out_splits(heads[final])
    escalation = escalate(predictions, examples, [*methods, final], chosen_on, params.terms)
    slices = score_slices(predictions, examples, final, seed)
    evaluation = found.model_copy(update={"slices": slices, "escalation": escalation})
    calibrated = None
    if reading is not None and final in escalation.methods:
        chosen = f"{escalation.n_chosen_on} rows of {', '.join(chosen_on)}, margin {params.margin:g}"
        threshold = escalation.methods[final].point.threshold
        calibrated = pack_router(heads[final], inputs["router"], reading, threshold, chosen)
    artifacts = {**inputs, "predictions": predictions, **{f"head: {name}": head for name, head in heads.items()}}
    made = {} if calibrated is None else {"calibrated": calibrated}
    report = write_report(run_id, evaluation, {**artifacts, **made}, facts)
    publish(evaluation, report)
    runs.record(run_id, **inputs, predictions=predictions, **heads, **made, report=report, facts=facts)
    return Evaluated(run_id=run_id, report=report, head=heads[final], calibrated=calibrated, evaluation=evaluation)


if __name__ == "__main__":
    from flows.cli import restart

    restart("evaluate")
