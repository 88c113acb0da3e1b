"""What each figure of a report shows, in words and numbers, for readers who do not see it."""

from collections.abc import Sequence

from routecal.calib.learn.training_loop import StepLog
from routecal.calib.metrics import Summary
from routecal.tasks.escalate import Escalation


def reliability_text(methods: dict[str, Summary], drawn: Sequence[str]) -> str:
    """Of the reliability diagram.

    Args:
        methods: by name.
        drawn: those that have a curve.
    """
    curves = "; ".join(
        f"{name}: mean confidence {methods[name].mean_p:.3f}, {_errors(methods[name])}" for name in drawn
    )
    first = methods[drawn[0]]
    return (
        f"Reliability diagram: accuracy against confidence in ten bins, on {first.n} test queries of which the router "
        f"decided {first.accuracy:.1%} rightly. {curves}."
    )


def before_after_text(methods: dict[str, Summary], before: str, after: str) -> str:
    """Of the two reliability diagrams side by side."""
    return (
        f"Reliability before and after. Before, {before}: {_errors(methods[before])}. After, {after}: "
        f"{_errors(methods[after])}."
    )


def risk_coverage_text(methods: dict[str, Summary], drawn: Sequence[str]) -> str:
    """Of the error rate against the share of queries kept."""
    found = {name: methods[name] for name in drawn}
    curves = "; ".join(
        f"{name}: {s.risk_at_coverage:.1%} of the surest 80% of queries are wrong, area below {s.aurc.value:.3f}"
        for name, s in found.items()
    )
    return f"Error rate against the share of queries kept, surest first. {curves}."


def training_text(steps: Sequence[StepLog]) -> str:
    """Of the training curves."""
    brier = [(step.stage.upper(), step.validation_brier) for step in steps if step.validation_brier is not None]
    if not brier:
        return f"Training curves over {len(steps)} steps."
    (first, start), (last, end) = brier[0], brier[-1]
    return (
        f"Training curves over {len(steps)} steps: validation Brier score from {start:.4f} ({first}) to {end:.4f} "
        f"({last}); the confidence of the last batch has a standard deviation of {steps[-1].std_p:.3f}."
    )


def cost_quality_text(found: Escalation) -> str:
    """Of quality against cost, with the threshold in use."""
    name, saving = list(found.methods.items())[-1]
    policies = "; ".join(
        f"{policy}: quality {quality:.1%} at a cost of {cost:.3g}" for policy, (cost, quality) in found.policies.items()
    )
    return (
        f"Quality against cost per query, in {found.unit}. {name} with the threshold in use, "
        f"{saving.point.threshold:.3f}: quality {saving.point.quality:.1%} at a cost of {saving.point.cost:.3g}. "
        f"{policies}."
    )


def _errors(summary: Summary) -> str:
    return f"ECE {summary.ece.value:.3f}, Brier score {summary.brier.value:.3f}"
