"""What people read about a night: a page with the trend over all nights, and a row for the SQL over them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from routecal.calib import plots
from routecal.calib.metrics import Estimate
from routecal.calib.plots import NightPoint
from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.layout import Home
from routecal.storage.query import connect, run
from routecal.storage.schemas import SCHEMAS
from routecal.tasks.markdown import SHORT, picture, pipe_table, report_line, report_link, safe
from routecal.tasks.night.night_result import Night
from routecal.tasks.sharding import joined

# What a night comes to, and what is left for a person to do.
_WHAT = {
    "promoted": "A new head was promoted",
    "refused": "The new head was refused",
    "waiting": "A new head waits for a person",
    "overtaken": "Another head was put in force while a new one waited",
    "quiet": "Nothing was labelled",
    "gathering": "Too few labels for a decision",
}
_TO_DO = {
    "promoted": "nothing; `routecal rollback` puts the head before it back",
    "refused": "nothing; what served before serves on, and `routecal heads` lists the refused head",
    "waiting": "read the reasons, then `routecal promote` or `decline`; nothing changes until then",
    "overtaken": "nothing; the new head is kept, and `routecal promote --entry` with its number still promotes it",
    "quiet": "nothing; the next night looks again",
    "gathering": "nothing; the next nights label more, sooner with a higher --night-queries",
}
# The head that the new one is held against, in words.
_OTHER = {"promoted": "head before"} | dict.fromkeys(("refused", "waiting", "overtaken"), "serving head")
# The table of nights: heading, column of nights.sql, format.
_COLUMNS = {
    "night": ("night", ""),
    "decision": ("action", ""),
    "new": ("n_new", ""),
    "labelled": ("n_labelled", ""),
    "USD": ("cost_usd", ".2f"),
    "ECE": ("ece", ".3f"),
    "Brier": ("brier", ".3f"),
    "escalated": ("escalated", ".1%"),
}
# Nights that the page lists.
LISTED = 14


@task(name="tell", task_run_name="publish the night: {night.action}", cache_policy=NO_CACHE)
def publish_night(night: Night, earlier: Sequence[Artifact], router: str) -> Artifact:
    """Store the night's row and publish its page; the artifact `night-ROUTER` shows the history of pages in the UI.

    Args:
        night: what happened.
        earlier: the rows of the nights before, oldest first.
        router: sha256 of the router whose nights these are.
    """
    own = write_table(_row(night), "nights", home=Home.from_env())
    rows = joined([*earlier, own])
    with connect(nights=rows) as con:
        trend = run(con, "nights").to_pylist()
    text = night_page(night, rows, trend, link=None if night.report is None else report_link(night.report))
    create_markdown_artifact(text, key=f"night-{router[:SHORT]}", description=safe(headline(night)))
    shown = "every night, newest first; ECE and Brier of the head that serves afterwards"
    create_table_artifact(_listed(trend), key=f"nights-{router[:SHORT]}", description=shown)
    # Automations listen to these.
    resource = {"prefect.resource.id": f"routecal.night.{night.run_id}", "prefect.resource.name": night.run_id}
    found_tonight = night.alarm and night.health is not None and night.health.complaints
    for what in (night.action, *(["alarm"] if found_tonight else [])):
        emit_event(f"routecal.night.{what}", resource=resource, payload={"headline": headline(night)})
    return own


def headline(night: Night) -> str:
    """The night in one line: what was decided, and what that means for cost and quality, or why nothing was.

    And the alarm against the head that serves on, if one stands.
    """
    means = _meaning(night)
    alarm = f"; alarm, so nothing is promised of the serving head: {night.alarm}" if night.alarm else ""
    return f"{_WHAT[night.action]}{means and f': {means}'}{alarm}"


def _meaning(night: Night) -> str:
    """What the decision means: what the new head saves, whether it costs more, and both heads' calibration."""
    verdict = night.verdict
    if verdict is None or "ece" not in verdict.candidate:
        return next(iter(night.reasons), "")
    before = verdict.champion.get("ece")
    against = "" if before is None else f", {before.value:.3f} with the {_OTHER[night.action]}"
    quality = f"calibration error (ECE) {verdict.candidate['ece'].value:.3f}{against}, on {verdict.n} held-out queries"
    if night.action == "refused" or not night.money:
        return quality
    more = f"; it escalates more queries than the {_OTHER[night.action]}" if verdict.facts else ""
    return f"{night.money[0].lower()}{night.money[1:]}{more}; {quality}"


def lines(night: Night) -> dict[str, list[str]]:
    """What follows the headline, in sentences by title, statistics last; no sentence comes twice."""
    first_line = headline(night)
    of_the_gate = () if night.verdict is None else night.verdict.conditions
    checked = [f"{'met' if c.is_met else 'not met'}: {c.reason}" for c in of_the_gate if c.reason not in night.reasons]
    sections = {
        "serving": [_serving(night)],
        "served": list(night.served),
        "labels": [_labels(night), *(f"passed over: {sentence}" for sentence in night.unreadable)],
        "to do": [_TO_DO[night.action]],
        "why": [reason for reason in night.reasons if reason not in first_line],
        "checked": checked,
    }
    return {title: sentences for title, sentences in sections.items() if sentences}


def night_page(night: Night, rows: Artifact, trend: Sequence[dict[str, Any]], *, link: str | None = None) -> str:
    """The night as Markdown with the trend as an inline picture; what users wrote is shown as text.

    Args:
        night: what happened.
        rows: of all nights, for the picture.
        trend: the same as `nights.sql` lists them, oldest first.
        link: address at which the server of the UI serves the report, if it does.
    """
    what, *reason = headline(night).split(": ", 1)
    shown = [f"# {what}", "", *(safe(one[0].upper() + one[1:]) for one in reason), ""]
    for title, sentences in lines(night).items():
        shown += [f"**{title.capitalize()}**", "", *(f"- {safe(sentence)}" for sentence in sentences), ""]
    if night.report is not None:
        shown += [report_line(night.report, link), ""]
    shown += ["## Night by night", "", picture(plots.render(plots.nights(_points(rows))), _trend_text(trend)), ""]
    listed = [[safe(str(cell)) for cell in row.values()] for row in _listed(trend)[:LISTED]]
    shown.append(pipe_table(list(_COLUMNS), listed, text_columns=2))
    return "\n".join(shown) + "\n"


def _trend_text(trend: Sequence[dict[str, Any]]) -> str:
    """What the picture shows."""
    judged = [row for row in trend if row["ece"] is not None]
    nights = f"{len(trend)} night{'s' * (len(trend) != 1)}"
    if not judged:
        return f"ECE and Brier score of the serving head over {nights}: none was measured"
    first, last = judged[0], judged[-1]
    return (
        f"ECE and Brier score of the serving head over {nights}: ECE from {first['ece']:.3f} to {last['ece']:.3f}, "
        f"Brier score from {first['brier']:.3f} to {last['brier']:.3f}"
    )


def _labels(night: Night) -> str:
    files = f"{night.n_files} file{'s' * (night.n_files != 1)}"
    queries = f"{night.n_new} quer{'y' if night.n_new == 1 else 'ies'} without a label in {files}"
    cost = "" if night.cost_usd is None or not night.n_labelled else f", for {night.cost_usd:.2f} USD"
    return f"{queries}; {night.n_labelled} labelled tonight{cost}"


def _serving(night: Night) -> str:
    if not night.serving:
        return "no head serves yet"
    # On quiet nights it is a share of the new queries, else of the held-out ones.
    share = "" if night.escalated is None else f", which escalates {night.escalated:.1%} of queries to the large model"
    return f"head {night.serving}{share}{'; its guarantee is void, for an alarm stands' if night.alarm else ''}"


def _listed(trend: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The nights as people read them, newest first: few columns, rounded."""
    return [{name: _cell(row[column], spec) for name, (column, spec) in _COLUMNS.items()} for row in trend[::-1]]


def _row(night: Night) -> pa.Table:
    health, verdict = night.health, night.verdict
    before = _ends({} if health is None else {"ece": health.ece, "brier": health.brier})
    if verdict is not None and verdict.champion:
        before = _ends(verdict.champion)
    after = _ends({} if verdict is None else verdict.candidate)
    difference = None if verdict is None else verdict.brier_difference
    row = {
        "run_id": night.run_id,
        "ended_at": datetime.now(UTC),
        "action": night.action,
        "n_new": night.n_new,
        "n_labelled": night.n_labelled,
        "cost_usd": night.cost_usd,
        "n_window": verdict.n if verdict is not None else 0 if health is None else health.n,
        "champion_ece": before[0],
        "champion_ece_high": before[1],
        "champion_brier": before[2],
        "candidate_ece": after[0],
        "candidate_ece_high": after[1],
        "candidate_brier": after[2],
        "brier_difference_low": None if difference is None else difference.low,
        "brier_difference_high": None if difference is None else difference.high,
        "escalated": night.escalated,
        "drift_p_value": None if health is None or health.drift is None else health.drift.p_value,
    }
    return pa.Table.from_pylist([row], schema=SCHEMAS["nights"])


def cost_of(labels: Artifact) -> float | None:
    """USD that the labels cost; None where no price is known."""
    with connect(labels=labels) as con:
        known = [row["cost_usd"] for row in run(con, "cost").to_pylist() if row["cost_usd"] is not None]
    return sum(known) if known else None


def _ends(found: dict[str, Estimate] | dict[str, Estimate | None]) -> tuple[float | None, float | None, float | None]:
    ece, brier = found.get("ece"), found.get("brier")
    return (
        None if ece is None else ece.value,
        None if ece is None else ece.high,
        None if brier is None else brier.value,
    )


def _points(rows: Artifact) -> list[NightPoint]:
    points = []
    for row in read_table(rows).sort_by("ended_at").to_pylist():
        who = "candidate" if row["action"] == "promoted" else "champion"
        ece, high, brier = (row[f"{who}_{name}"] for name in ("ece", "ece_high", "brier"))
        points.append(NightPoint(row["ended_at"], ece, high, brier, is_promoted=row["action"] == "promoted"))
    return points


def _cell(value: Any, spec: str) -> Any:
    return "–" if value is None else format(value, spec) if spec else value
