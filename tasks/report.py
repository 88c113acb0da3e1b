"""The report of a run: one self-contained HTML page, its two main figures, and the numbers as JSON."""

import base64
import json
from importlib.resources import files
from typing import Any

import jinja2
from prefect import task
from prefect.cache_policies import NO_CACHE

from routecal.storage.artifact import Artifact
from routecal.storage.atomic import write_files
from routecal.storage.layout import Home
from routecal.storage.query import connect, run
from routecal.tasks.escalation_result import Escalation
from routecal.tasks.escalation_verdict import rule_line, sentence
from routecal.tasks.evaluate import FINAL, RIVAL, Evaluation
from routecal.tasks.evaluation_verdict import headline, key_figures, next_steps
from routecal.tasks.figures import Figure, figures_in
from routecal.tasks.operating_table import FEWEST, topic_verdict


@task(name="report", task_run_name="report {run_id}", cache_policy=NO_CACHE)
def write_report(
    run_id: str, evaluation: Evaluation, drawn: Artifact, artifacts: dict[str, Artifact], facts: dict[str, Any]
) -> str:
    """Write report.html, metrics.json, reliability.png and escalation.png under `reports/<run_id>`; return the page.

    Args:
        run_id: names the folder.
        evaluation: what `score`, `score_slices` and `escalate` found.
        drawn: its figures, as `draw_figures` made them.
        artifacts: by kind: labels, examples, predictions and the heads by stage.
        facts: sentences about the run, by title; shown as they are, escaped.
    """
    folder = f"{Home.from_env().folder('reports')}/{run_id}"
    figures = figures_in(drawn)
    pages = {
        "reliability.png": figures["reliability"].png,
        "metrics.json": _metrics(run_id, evaluation, artifacts, facts),
        "report.html": _page(run_id, evaluation, artifacts, facts, figures),
    }
    if "escalation" in figures:
        pages["escalation.png"] = figures["escalation"].png
    write_files(folder, pages)
    return f"{folder}/report.html"


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
    figures: dict[str, Figure],
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
        escalation_lines=_lines(evaluation.escalation),
        topic_verdict=topic_verdict,
        tables={title: (table.column_names, table.to_pylist()) for title, table in tables.items()},
        artifacts=artifacts,
    )
    return text.encode()


def _lines(escalation: Escalation | None) -> list[str]:
    if escalation is None:
        return []
    return [line for line in (sentence(escalation), rule_line(escalation), *escalation.remarks) if line]
