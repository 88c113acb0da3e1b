"""What the Prefect UI shows of an evaluation: one page per flow and router, with the link that opens the report."""

from prefect import runtime, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from routecal.calib.metrics import Estimate
from routecal.storage.remote import is_file, resolve
from routecal.tasks.escalation_result import Escalation
from routecal.tasks.evaluate import FINAL, Evaluation
from routecal.tasks.evaluation_verdict import headline, key_figures, next_steps
from routecal.tasks.figures import DRAWN, cost_quality_text, reliability_text
from routecal.tasks.markdown import SHORT, picture, pipe_table, report_line, report_link, safe


@task(name="publish", task_run_name="publish the result in the UI", cache_policy=NO_CACHE)
def publish_evaluation(evaluation: Evaluation, report: str, router: str, calibrated: str | None = None) -> None:
    """Publish the page of an evaluation; the UI keeps its history under `evaluation-FLOW-ROUTER`.

    Args:
        evaluation: what the report is about.
        report: its page; the pictures lie beside it.
        router: sha256 of the router.
        calibrated: folder that `CalibratedRouter` opens; None where none was made.
    """
    key = f"evaluation-{runtime.flow_run.flow_name}-{router[:SHORT]}"
    text = evaluation_page(evaluation, report, link=report_link(report), calibrated=calibrated)
    create_markdown_artifact(text, key=key, description=safe(headline(evaluation)))


def evaluation_page(
    evaluation: Evaluation, report: str, *, link: str | None = None, calibrated: str | None = None
) -> str:
    """The evaluation as Markdown: the verdict, what to do, the diagrams, then every method.

    Args:
        evaluation: what the report is about.
        report: path of its page; the pictures lie beside it.
        link: address at which the server of the UI serves it, if it does.
        calibrated: folder that `CalibratedRouter` opens; None where none was made.
    """
    lines = [f"# {safe(headline(evaluation))}", "", report_line(report, link)]
    lines += ["", *(f"- **{f.name} {safe(f.value)}**: {safe(f.meaning)}" for f in key_figures(evaluation)), ""]
    if steps := next_steps(evaluation, calibrated):
        lines += ["## What to do", "", *(f"- {safe(step)}" for step in steps), ""]
    for name, text in _pictures(evaluation).items():
        fs, path = resolve(place := f"{report.rpartition('/')[0]}/{name}")
        if is_file(place):
            lines += [picture(fs.cat_file(path), text), ""]
    if evaluation.escalation is not None and evaluation.escalation.points:
        columns, points = points_table(evaluation.escalation)
        lines += ["## Operating points", "", pipe_table(columns, points), ""]
    # The method in question first. One column more would not fit beside the UI's own.
    methods = sorted(evaluation.methods.items(), key=lambda method: method[0] != FINAL)
    rows = [
        (f"**{name}**" if name == FINAL else name, *map(_shown, (s.ece, s.noise_high, s.brier, s.auroc)))
        for name, s in methods
    ]
    lines += ["## Every method", "", pipe_table(("method", "ECE", "noise ≤", "Brier", "AUROC"), rows)]
    return "\n".join([*lines, ""])


def points_table(escalation: Escalation) -> tuple[list[str], list[list[str]]]:
    """(columns, rows) of the table of operating points; a dash where one cannot be had."""
    rows = []
    for one in escalation.points:
        if one.saving is None:
            rows.append([one.asked, "–", "–", f"not from {escalation.n_chosen_on} labels" if one.is_promised else "–"])
        else:
            s = one.saving
            saved, change = f"{s.saving.times(100):.1f}", f"{s.quality_difference.times(100):+.1f}"
            rows.append([one.asked, f"{1 - s.point.large:.1%}", saved, change])
    return ["threshold for", "medium serves", "% saved", "points against all-large"], rows


def _pictures(evaluation: Evaluation) -> dict[str, str]:
    """What each picture beside the report shows, by its file."""
    drawn = [name for name in DRAWN if name in evaluation.methods]
    found = {"reliability.png": reliability_text(evaluation.methods, drawn)} if drawn else {}
    if evaluation.escalation is not None and evaluation.escalation.methods:
        found = {"escalation.png": cost_quality_text(evaluation.escalation), **found}
    return found


def _shown(estimate: Estimate | float | None) -> str:
    return "–" if estimate is None else f"{estimate:.3f}"
