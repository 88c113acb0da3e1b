"""Flow `evaluate`: what a head is worth on the test split, against the baselines."""

from typing import Any

from prefect import flow
from pydantic import BaseModel, ConfigDict

from flows.params import EvaluateParams
from storage.artifact import Artifact
from tasks import runs
from tasks.evaluate import FINAL, Evaluation, predict, score
from tasks.report import write_report
from tasks.train import refer_head


class Evaluated(BaseModel):
    """What a run ends with."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    report: str
    head: Artifact
    evaluation: Evaluation


@flow(name="evaluate", flow_run_name="evaluate {params.head}")
def evaluate(params: EvaluateParams) -> Evaluated:
    """Evaluate the newest head, or the one named, on the newest examples."""
    run_id = runs.start("evaluate")
    inputs = runs.newest_together("examples", "labels", "features")
    heads = runs.newest_heads() if params.head is None else {FINAL: refer_head(params.head)}
    return evaluate_heads(run_id, inputs, heads, {}, seed=params.seed)


def evaluate_heads(
    run_id: str, inputs: dict[str, Artifact], heads: dict[str, Artifact], facts: dict[str, Any], *, seed: int
) -> Evaluated:
    """Score `heads`, the one in question last, write the report and record the run.

    Args:
        run_id: names the report.
        inputs: labels, examples and features, and whatever else belongs in the record.
        heads: by name.
        facts: what a reader of the report must know, by title.
        seed: of the bootstrap.
    """
    predictions = predict(inputs["examples"], inputs["features"], heads)
    evaluation = score(predictions, seed)
    artifacts = {**inputs, "predictions": predictions, **{f"head: {name}": head for name, head in heads.items()}}
    report = write_report(run_id, evaluation, artifacts, facts)
    runs.record(run_id, **inputs, predictions=predictions, **heads, report=report, facts=facts)
    return Evaluated(run_id=run_id, report=report, head=list(heads.values())[-1], evaluation=evaluation)


if __name__ == "__main__":
    from flows.cli import restart

    restart("evaluate")
