"""The figures of a report, each with a text of what it shows: drawn once for what they show, and kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from routecal.calib import plots
from routecal.calib.escalation import CostQuality
from routecal.calib.learn.training_loop import StepLog
from routecal.calib.metrics import Summary
from routecal.storage.artifact import Artifact, read_table
from routecal.storage.folder_artifact import local_folder, write_folder
from routecal.storage.layout import Home
from routecal.tasks.cache import step
from routecal.tasks.escalation_result import CONFIDENCE, JOINT, Escalation
from routecal.tasks.evaluate import FINAL, Evaluation, test_rows
from routecal.tasks.train import read_log

# Curves of the diagram, baselines first; more than these do not stay legible.
DRAWN = ("entropy", "temperature", "SFT", FINAL)
# Rules that are drawn with a band; what else is drawn is there for comparison.
RULES = (CONFIDENCE, JOINT)
# What the head is to make better, on a panel of its own beside it.
BEFORE = "max_prob"
# Heads that keep a log of their training, in its order.
TRAINED = ("SFT", "SFT + RL")


class Figure(NamedTuple):
    """A figure, and what it shows in words and numbers, for readers who do not see it."""

    png: bytes
    text: str


@step("draw", "draw {predictions.rows} predictions", on=("calib.plots", "tasks.evaluate"))
def draw_figures(evaluation: Evaluation, predictions: Artifact, heads: dict[str, Artifact]) -> Artifact:
    """A folder with `NAME.png` and `NAME.txt` for every figure that there is something to draw for.

    Args:
        evaluation: what `score`, `score_slices` and `escalate` found.
        predictions: that they were found on.
        heads: by name; of those in TRAINED the training is drawn.
    """
    figures = _figures(evaluation, predictions, heads)

    def build(folder: Path) -> None:
        for name, figure in figures.items():
            (folder / f"{name}.png").write_bytes(figure.png)
            (folder / f"{name}.txt").write_text(figure.text, encoding="utf-8")

    return write_folder("figures", build, home=Home.from_env())


def figures_in(drawn: Artifact) -> dict[str, Figure]:
    """By name, what `draw_figures` made."""
    texts = sorted(local_folder(drawn).glob("*.txt"))
    return {path.stem: Figure(path.with_suffix(".png").read_bytes(), path.read_text("utf-8")) for path in texts}


def draw_escalation(found: Escalation) -> bytes:
    """The cost-quality plane of what `escalate` measured, the threshold of the rule that decides marked."""
    lines = {name: _line([(point.cost, point.quality) for point in points]) for name, points in found.curves.items()}
    last = list(lines)[-1]
    chosen = found.methods[last].point
    figure = plots.cost_quality(
        lines,
        random=_line([found.policies["all-medium"], found.policies["all-large"]]),
        oracle=_line(found.oracle),
        points={name: at for name, at in found.policies.items() if name != "perfect oracle"},
        chosen=(chosen.cost, chosen.quality),
        bands={name: plots.Band(lines[name].cost, *np.array(found.bands[name]).T) for name in lines if name in RULES},
        thin=[name for name in lines if name not in RULES],
        unit=found.unit,
    )
    return plots.render(figure)


def _line(points: list[tuple[float, float]]) -> CostQuality:
    return CostQuality(*np.array(points).T)


def _figures(evaluation: Evaluation, predictions: Artifact, heads: dict[str, Artifact]) -> dict[str, Figure]:
    methods, table = evaluation.methods, read_table(predictions)
    curves = {name: test_rows(table, name) for name in DRAWN if name in methods}
    title = "Confidence and accuracy on the test split"
    found = {
        "reliability": Figure(
            plots.render(plots.reliability_diagram(curves, title=title)), reliability_text(methods, list(curves))
        ),
        "selective": Figure(plots.render(plots.risk_coverage(curves)), risk_coverage_text(methods, list(curves))),
    }
    if {BEFORE, FINAL} <= methods.keys():
        both = [test_rows(table, name) for name in (BEFORE, FINAL)]
        drawn = plots.before_after(*both, names=(BEFORE, FINAL))
        found["before_after"] = Figure(plots.render(drawn), before_after_text(methods, BEFORE, FINAL))
    if steps := _steps(heads):
        found["training"] = Figure(plots.render(plots.training_curves(steps)), training_text(steps))
    if (escalation := evaluation.escalation) is not None and escalation.curves:
        found["escalation"] = Figure(draw_escalation(escalation), cost_quality_text(escalation))
    return found


def _steps(heads: dict[str, Artifact]) -> list[StepLog]:
    """Training steps of the first member of the ensemble, stage after stage."""
    trained = [heads[stage] for stage in TRAINED if stage in heads]
    return [step for head in trained for step in read_log(head) if step.head == 0]


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
    policies = "; ".join(
        f"{policy}: quality {quality:.1%} at a cost of {cost:.3g}" for policy, (cost, quality) in found.policies.items()
    )
    areas = "; ".join(f"{rule} {area:.3f}" for rule, area in found.areas.items() if area is not None)
    point = found.methods[str(found.rule)].point
    return (
        f"Quality against cost per query, in {found.unit}. The {found.rule} rule with the threshold in use: quality "
        f"{point.quality:.1%} at a cost of {point.cost:.3g}. {policies}. Area over random, where the perfect oracle "
        f"has 1: {areas or 'undefined'}."
    )


def _errors(summary: Summary) -> str:
    return f"ECE {summary.ece.value:.3f}, Brier score {summary.brier.value:.3f}"
