"""The report of a run: one self-contained HTML page, its two main figures, and the numbers as JSON."""

import base64
import json
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from routecal.calib import plots
from routecal.calib.escalation import CostQuality
from routecal.calib.learn.training_loop import StepLog
from routecal.storage.artifact import Artifact, read_table
from routecal.storage.atomic import write_files
from routecal.storage.layout import Home
from routecal.storage.query import connect, run
from routecal.tasks.escalate import Escalation, sentence
from routecal.tasks.evaluate import FINAL, RIVAL, Evaluation, test_rows
from routecal.tasks.evaluation_verdict import headline, key_figures, next_steps
from routecal.tasks.figure_texts import (
    before_after_text,
    cost_quality_text,
    reliability_text,
    risk_coverage_text,
    training_text,
)
from routecal.tasks.slice_table import FEWEST
from routecal.tasks.train import read_log

# Curves of the diagram, baselines first; more than these do not stay legible.
DRAWN = ("entropy", "temperature", "SFT", FINAL)
# What the head is to make better, on a panel of its own beside it.
BEFORE = "max_prob"


@task(name="report", task_run_name="report {run_id}", cache_policy=NO_CACHE)
def write_report(run_id: str, evaluation: Evaluation, artifacts: dict[str, Artifact], facts: dict[str, Any]) -> str:
    """Write report.html, metrics.json, reliability.png and escalation.png under `reports/<run_id>`; return the page.

    Args:
        run_id: names the folder.
        evaluation: what `score`, `score_slices` and `escalate` found.
        artifacts: by kind: labels, examples, predictions and the heads by stage.
        facts: sentences about the run, by title; shown as they are, escaped.
    """
    folder = f"{Home.from_env().folder('reports')}/{run_id}"
    figures = _figures(evaluation, artifacts)
    pages = {
        "reliability.png": figures["reliability"],
        "metrics.json": _metrics(run_id, evaluation, artifacts, facts),
        "report.html": _page(run_id, evaluation, artifacts, facts, figures),
    }
    if "escalation" in figures:
        pages["escalation.png"] = figures["escalation"]
    write_files(folder, pages)
    return f"{folder}/report.html"


def draw_escalation(found: Escalation) -> bytes:
    """The cost-quality plane of what `escalate` measured, the threshold of the last method marked."""
    lines = {name: _line([(point.cost, point.quality) for point in points]) for name, points in found.curves.items()}
    last = list(lines)[-1]
    chosen = found.methods[last].point
    band = np.array(found.band)
    figure = plots.cost_quality(
        lines,
        random=_line([found.policies["all-medium"], found.policies["all-large"]]),
        oracle=_line(found.oracle),
        points={name: at for name, at in found.policies.items() if name != "perfect oracle"},
        chosen=(chosen.cost, chosen.quality),
        band=plots.Band(lines[last].cost, band[:, 0], band[:, 1]),
        unit=found.unit,
    )
    return plots.render(figure)


def _line(points: list[tuple[float, float]]) -> CostQuality:
    return CostQuality(*np.array(points).T)


def _figures(evaluation: Evaluation, artifacts: dict[str, Artifact]) -> dict[str, bytes]:
    """PNGs by name, those that there is something to draw for."""
    table = read_table(artifacts["predictions"])
    curves = {name: test_rows(table, name) for name in DRAWN if name in evaluation.methods}
    title = "Confidence and accuracy on the test split"
    found = {
        "reliability": plots.render(plots.reliability_diagram(curves, title=title)),
        "selective": plots.render(plots.risk_coverage(curves)),
    }
    if {BEFORE, FINAL} <= evaluation.methods.keys():
        rows = [test_rows(table, name) for name in (BEFORE, FINAL)]
        found["before_after"] = plots.render(plots.before_after(*rows, names=(BEFORE, FINAL)))
    if steps := _steps(artifacts):
        found["training"] = plots.render(plots.training_curves(steps))
    if evaluation.escalation is not None and evaluation.escalation.curves:
        found["escalation"] = draw_escalation(evaluation.escalation)
    return found


def _texts(evaluation: Evaluation, artifacts: dict[str, Artifact]) -> dict[str, str]:
    """What the figures show, by the same names."""
    methods = evaluation.methods
    drawn = [name for name in DRAWN if name in methods]
    texts = {"reliability": reliability_text(methods, drawn), "selective": risk_coverage_text(methods, drawn)}
    if {BEFORE, FINAL} <= methods.keys():
        texts["before_after"] = before_after_text(methods, BEFORE, FINAL)
    if steps := _steps(artifacts):
        texts["training"] = training_text(steps)
    if evaluation.escalation is not None and evaluation.escalation.curves:
        texts["escalation"] = cost_quality_text(evaluation.escalation)
    return texts


def _steps(artifacts: dict[str, Artifact]) -> list[StepLog]:
    """Training steps of the first member of the ensemble, stage after stage."""
    trained = [artifacts[stage] for stage in ("head: SFT", "head: SFT + RL") if stage in artifacts]
    return [step for head in trained for step in read_log(head) if step.head == 0]


def _metrics(run_id: str, evaluation: Evaluation, artifacts: dict[str, Artifact], facts: dict[str, Any]) -> bytes:
    content = {
        "run_id": run_id,
        **evaluation.model_dump(mode="json"),
        "facts": facts,
        "artifacts": {name: artifact.model_dump() for name, artifact in artifacts.items()},
    }
    return (json.dumps(content, indent=2) + "\n").encode()


def _page(
    run_id: str,
    evaluation: Evaluation,
    artifacts: dict[str, Artifact],
    facts: dict[str, Any],
    figures: dict[str, bytes],
) -> bytes:
    with connect(labels=artifacts["labels"], examples=artifacts["examples"]) as con:
        tables = {
            "Grades (medium × large)": run(con, "grades"),
            "Router accuracy": run(con, "router_accuracy"),
            "True policies by topic and split": run(con, "policy_balance"),
        }
    page = (files("routecal.tasks") / "report.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["data_uri"] = lambda png: "data:image/png;base64," + base64.b64encode(png).decode()
    text = environment.from_string(page).render(
        run_id=run_id,
        evaluation=evaluation,
        headline=headline(evaluation),
        key_figures=key_figures(evaluation),
        next_steps=next_steps(evaluation, artifacts["calibrated"].uri if "calibrated" in artifacts else None),
        # The method in question first, then what it is held against.
        methods=dict(sorted(evaluation.methods.items(), key=lambda method: method[0] != FINAL)),
        few=FEWEST,
        final=FINAL,
        rival=RIVAL,
        facts=facts,
        figures=figures,
        texts=_texts(evaluation, artifacts),
        escalation_line=None if evaluation.escalation is None else sentence(evaluation.escalation),
        tables={title: (table.column_names, table.to_pylist()) for title, table in tables.items()},
        artifacts=artifacts,
    )
    return text.encode()
