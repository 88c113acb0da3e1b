"""Flow `threshold`: another threshold for heads that are trained, and what it promises and saves."""

from typing import Any

from prefect import flow
from pydantic import BaseModel, Field

from routecal.flows.param_checks import check
from routecal.flows.run_messages import completed
from routecal.flows.threshold_params import ThresholdParams
from routecal.storage.artifact import Artifact
from routecal.tasks import runs
from routecal.tasks.escalate import escalate
from routecal.tasks.escalation_result import Escalation, serving_rule
from routecal.tasks.escalation_verdict import money, sentence
from routecal.tasks.evaluate import compared
from routecal.tasks.pack import copy_packed, rule_in, with_rule
from routecal.tasks.train import held_out_splits


class NewThreshold(BaseModel, frozen=True):
    """What a run ends with."""

    run_id: str
    data: str = Field(description="whose heads, labels and predictions these are")
    verdict: str = Field(description="what the threshold keeps, saves and promises, in a sentence")
    details: str = Field(description="the same with the threshold and all intervals")
    instead: str = Field(default="", description="where nothing can be promised: what can be, or what it would take")
    threshold: float | None = Field(description="of the gain per relative extra cost; None where there is none")
    escalation: Escalation
    calibrated: Artifact | None = Field(description="the packed router with the threshold; None where there is none")
    folder: str | None = Field(default=None, description="where it was copied to")


@flow(name="threshold", flow_run_name="choose another threshold")
def threshold(params: ThresholdParams) -> NewThreshold:
    """Choose a threshold on the labelled rows of one run, measure it on its test rows, and pack the router with it."""
    check(params)
    run_id = runs.start("threshold")
    source, inputs = runs.with_joint_outcomes("examples", "predictions", "calibrated", run_id=params.run)
    calibrated = inputs["calibrated"]
    terms, rule = params.terms, rule_in(calibrated)
    known: dict[str, Any] = {} if terms.policy_map else {"policy_map": rule.policy_map.models}
    if terms.medium_price is None and terms.large_price is None and (prices := rule.prices) is not None:
        known |= {"medium_price": prices.medium, "large_price": prices.large, "price_unit": prices.unit}
    terms = terms.model_copy(update=known)
    chosen_on = held_out_splits(calibrated)
    predictions = inputs["predictions"]
    found = escalate(
        predictions, inputs["examples"], compared(predictions), chosen_on, terms, inputs["outcome_predictions"]
    )
    made = {}
    if found.rule is not None:
        rule = serving_rule(found, terms, f"{found.n_chosen_on} rows of {', '.join(chosen_on)}")
        made["calibrated"] = with_rule(calibrated, rule, found.basis)
        if params.output_dir is not None:
            copy_packed(made["calibrated"], params.output_dir)
    runs.record_run(run_id, **(inputs | made), data=f"run {source}")
    result = NewThreshold(
        run_id=run_id,
        data=f"heads, labels and predictions of run {source}{_of_a_night(source)}",
        verdict=money(found),
        details=sentence(found),
        instead="" if found.promise is None else found.promise.instead,
        threshold=rule_in(made["calibrated"]).threshold if made else None,
        escalation=found,
        calibrated=made.get("calibrated"),
        folder=params.output_dir if made else None,
    )
    router = {name: artifact.uri for name, artifact in made.items()}
    return completed(result, result.verdict, **router)


def _of_a_night(run_id: str) -> str:
    """What its night decided about the head, which may not be the one that serves."""
    action = runs.run_named(run_id).facts.get("action")
    return "" if action is None else f", whose head was {action} that night"
