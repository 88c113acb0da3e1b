"""The report of a run: one self-contained HTML page, the reliability diagram, and the numbers as JSON."""

import base64
import json
from importlib.resources import files
from typing import Any

import jinja2
from prefect import task
from prefect.cache_policies import NO_CACHE

from calib import plots
from storage.artifact import Artifact, read_table
from storage.atomic import write_files
from storage.layout import Home
from storage.query import connect, run
from tasks.evaluate import FINAL, RIVAL, Evaluation, test_rows
from tasks.train import read_log

# Curves of the diagram, baselines first; more than these do not stay legible.
DRAWN = ("entropy", "temperature", "SFT", FINAL)


@task(name="report", task_run_name="report {run_id}", cache_policy=NO_CACHE)
def write_report(run_id: str, evaluation: Evaluation, artifacts: dict[str, Artifact], facts: dict[str, Any]) -> str:
    """Write report.html, metrics.json and reliability.png under `reports/<run_id>`; return the page's path or URL.

    Args:
        run_id: names the folder.
        evaluation: what `score` found.
        artifacts: by kind: labels, examples, predictions and the heads by stage.
        facts: sentences about the run, by title; shown as they are, escaped.
    """
    folder = f"{Home.from_env().folder('reports')}/{run_id}"
    table = read_table(artifacts["predictions"])
    curves = {name: test_rows(table, name) for name in DRAWN if name in evaluation.methods}
    diagram = plots.reliability_diagram(curves, title="Confidence and accuracy on the test split")
    trained = [artifacts[stage] for stage in ("head: SFT", "head: SFT + RL") if stage in artifacts]
    training = plots.training_curves([step for head in trained for step in read_log(head)]) if trained else None
    pages = {
        "reliability.png": diagram,
        "metrics.json": _metrics(run_id, evaluation, artifacts, facts),
        "report.html": _page(run_id, evaluation, artifacts, facts, diagram, training),
    }
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
    diagram: bytes,
    training: bytes | None,
) -> bytes:
    with connect(labels=artifacts["labels"], examples=artifacts["examples"]) as con:
        tables = {
            "Grades (medium × large)": run(con, "grades"),
            "Router accuracy": run(con, "router_accuracy"),
            "True policies by topic and split": run(con, "policy_balance"),
        }
    page = (files("tasks") / "report.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["data_uri"] = lambda png: "data:image/png;base64," + base64.b64encode(png).decode()
    text = environment.from_string(page).render(
        run_id=run_id,
        evaluation=evaluation,
        final=FINAL,
        rival=RIVAL,
        facts=facts,
        diagram=diagram,
        training=training,
        tables={title: (table.column_names, table.to_pylist()) for title, table in tables.items()},
        artifacts=artifacts,
    )
    return text.encode()
