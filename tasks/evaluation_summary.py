"""What the Prefect UI shows of an evaluation: its table, its diagrams and where the report is, night after night."""

import base64

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from routecal.calib.metrics import Estimate, Summary
from routecal.storage.atomic import resolve
from routecal.tasks.escalate import sentence
from routecal.tasks.evaluate import FINAL, RIVAL, Evaluation
from routecal.tasks.head_warnings import findings
from routecal.tasks.markdown import safe

COLUMNS = ("ece", "brier", "log_loss", "auroc", "aurc")
# Under these keys the UI keeps the history of all runs.
PAGE, TABLE = "evaluation", "evaluation-methods"
PICTURES = {"reliability.png": "reliability diagram", "escalation.png": "cost and quality"}


@task(name="publish", cache_policy=NO_CACHE)
def publish(evaluation: Evaluation, report: str) -> None:
    """A page with the table and the diagrams inline, and the numbers as a table that can be searched.

    Args:
        evaluation: what the report is about.
        report: its page; the pictures lie beside it.
    """
    create_markdown_artifact(page(evaluation, report), key=PAGE, description=_headline(evaluation))
    create_table_artifact(rows(evaluation), key=TABLE, description="test split; 95% intervals")


def page(evaluation: Evaluation, report: str) -> str:
    """The evaluation as Markdown: what it comes to, the diagrams, then every method."""
    first = next(iter(evaluation.methods.values()))
    lines = [] if evaluation.escalation is None else [f"**{safe(sentence(evaluation.escalation))}**", ""]
    if found := findings(evaluation):
        lines += ["## Before you use this head", "", *(f"- {safe(one)}" for one in found), ""]
    lines += [f"Test split: {first.n} queries, router right on {first.accuracy:.1%}"]
    if (d := evaluation.brier_difference) is not None:
        lines += ["", f"Brier of {FINAL} minus {RIVAL}: {d:+.4f}, paired"]
    for name, title in PICTURES.items():
        if (png := _bytes(report, name)) is not None:
            lines += ["", f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})"]
    # One column more would not fit beside the UI's own.
    lines += ["", "| method | ECE | noise ≤ | Brier | AUROC | AURC |", "|---|---|---|---|---|---|"]
    for name, s in evaluation.methods.items():
        shown = f"**{name}**" if name == FINAL else name
        others = " | ".join(_shown(e) for e in (s.brier, s.auroc, s.aurc))
        lines.append(f"| {shown} | {_shown(s.ece)} | {s.noise_high:.3f} | {others} |")
    return "\n".join([*lines, "", f"Full report: `{report}`", ""])


def rows(evaluation: Evaluation) -> list[dict[str, str | int]]:
    """One row per method."""
    return [
        {"method": name, "n": s.n, **{column: _shown(getattr(s, column)) for column in COLUMNS}}
        for name, s in evaluation.methods.items()
    ]


def _headline(evaluation: Evaluation) -> str:
    """What the card of the artifact shows: what is saved, or how good the confidence is where that is not known."""
    if evaluation.escalation is not None and evaluation.escalation.methods:
        return safe(sentence(evaluation.escalation))
    last: Summary = list(evaluation.methods.values())[-1]
    return f"ECE {_shown(last.ece)}, Brier {_shown(last.brier)}, AUROC {_shown(last.auroc)} on {last.n} test queries"


def _shown(estimate: Estimate | float | None) -> str:
    return "–" if estimate is None else f"{estimate:.3f}"


def _bytes(report: str, name: str) -> bytes | None:
    fs, path = resolve(f"{report.rpartition('/')[0]}/{name}")
    return bytes(fs.cat_file(path)) if fs.isfile(path) else None
