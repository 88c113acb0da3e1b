"""What the page shows is what was measured."""

import json
from pathlib import Path

from routecal.storage.artifact import read_table
from routecal.tasks.escalation_result import CONFIDENCE, JOINT
from routecal.tasks.escalation_verdict import rule_line, sentence
from routecal.tasks.evaluate import FINAL, Evaluation
from routecal.tasks.evaluation_verdict import headline, key_figures, next_steps
from routecal.tasks.operating_table import FEWEST, topic_verdict
from tests.tasks.made import Made
from tests.tasks.report.report_page import HOSTILE, Page, evaluation_of


def test_metrics_json_holds_what_the_page_shows(report: Path, page: Page) -> None:
    metrics = json.loads((report / "metrics.json").read_text())
    assert Evaluation.model_validate({k: metrics[k] for k in Evaluation.model_fields})
    shown = {row[0].strip(): row[1:] for row in page.rows if len(row) == 7 and row[0].strip() in metrics["methods"]}
    # The method in question first, the others in the order of the evaluation.
    assert list(shown) == [FINAL, *(name for name in metrics["methods"] if name != FINAL)]
    for name, cells in shown.items():
        found = metrics["methods"][name]
        for cell, key in zip(cells, ("ece", None, "brier", "log_loss", "auroc", "aurc"), strict=True):
            want = (
                f"{found['noise_mean']:.3f} ≤ {found['noise_high']:.3f}"
                if key is None
                else f"{found[key]:.3f}"
                if key == "log_loss"
                else f"{found[key]['value']:.3f} [{found[key]['low']:.3f}, {found[key]['high']:.3f}]"
            )
            assert " ".join(cell.split()) == want
    assert metrics["facts"]["Model 1"] == HOSTILE[1]
    assert all(len(artifact["sha256"]) == 64 for artifact in metrics["artifacts"].values())


def test_the_page_begins_with_the_verdict_and_ends_with_the_hashes(report: Path, page: Page) -> None:
    evaluation = evaluation_of(report)
    assert page.headings[0] == ("h1", headline(evaluation))
    figures = key_figures(evaluation)
    assert [row[0].strip() for row in page.rows[: len(figures)]] == [figure.name for figure in figures]
    assert [row[1].strip() for row in page.rows[: len(figures)]] == [figure.value for figure in figures]
    for step in next_steps(evaluation, None):
        assert page.text.index(step) < page.text.index("Calibration of every method")
    titles = [title for level, title in page.headings if level == "h2"]
    assert titles[:3] == ["What to do", "Cost and quality", "Calibration of every method"]
    assert titles[-2:] == ["Training", "Artifacts"]


def in_table(report: Path, name: str) -> dict[str, list[str]]:
    """Cells of a table by what its rows begin with, spaces made one."""
    html = (report / "report.html").read_text(encoding="utf-8")
    start = html.index(f'<table id="{name}">')
    rows = Page(html[start : html.index("</table>", start)]).rows[1:]
    return {cells[0]: cells[1:] for row in rows for cells in [[" ".join(cell.split()) for cell in row]]}


def test_the_table_of_rules_is_that_of_the_evaluation(report: Path, page: Page) -> None:
    escalation = evaluation_of(report).escalation
    assert escalation is not None
    for line in (sentence(escalation), rule_line(escalation)):
        assert line in page.text
    rows = in_table(report, "rules")
    assert list(rows)[:3] == [JOINT, CONFIDENCE, "entropy"]
    for name, found in escalation.methods.items():
        assert rows[name][:2] == [f"{x:.3f}" for x in (found.point.large, found.point.quality)]
        assert rows[name][3] == f"{found.saving:.3f}"
        assert rows[name][6] == f"{escalation.areas[name]:.3f}"
    assert rows["all-large"][3] == "0.000"
    assert {"all-medium", "router alone", "perfect oracle"} <= rows.keys()


def test_operating_points_regret_and_topics_are_those_of_the_evaluation(report: Path, page: Page) -> None:
    escalation = evaluation_of(report).escalation
    assert escalation is not None
    rows = in_table(report, "points")
    assert list(rows) == [one.asked for one in escalation.points]
    for one in escalation.points:
        if one.saving is None:
            assert rows[one.asked][0] == "–"
        else:
            assert rows[one.asked][1:3] == [f"{one.saving.saving:.3f}", f"{one.saving.quality_difference:.3f}"]
            assert rows[one.asked][3] == ("promised" if one.is_promised else "aimed at, no promise")
    assert {one.saving is None for one in escalation.points} == {True, False}
    rows = in_table(report, "regret")
    assert len(rows) == 10
    for cell in escalation.regret:
        shown = rows[f"{cell.medium} × {cell.large}"]
        assert shown[0] == str(cell.n)
        assert shown[2] == (f"{1000 * cell.cost:+.4g}" if cell.n else "–")
    assert rows["all"][3] == f"{1000 * sum(cell.lost for cell in escalation.regret):+.1f}"
    assert list(in_table(report, "topics")) == list(escalation.topics) == [HOSTILE[0]]
    for name, saving in escalation.topics.items():
        assert in_table(report, "topics")[name][-1] == topic_verdict(saving)


def test_slices_are_those_of_the_evaluation(report: Path, page: Page) -> None:
    tables = json.loads((report / "metrics.json").read_text())["slices"]["tables"]
    assert set(tables) == {"router's policy", "length in tokens", "topic"}
    rows = {row[0].strip(): [cell.strip() for cell in row] for row in page.rows if len(row) == 8}
    for table in tables.values():
        for name, found in table.items():
            n = f"{found['n']} few" if found["n"] < FEWEST else str(found["n"])
            assert rows[name][1:4] == [n, f"{found['accuracy']:.3f}", f"{found['mean_p']:.3f}"]
    marked = [found["n"] < FEWEST for table in tables.values() for found in table.values()]
    assert True in marked
    assert False in marked


def test_the_tables_are_those_of_the_artifacts(made: Made, page: Page) -> None:
    grades = [(r["medium_grade"], r["large_grade"]) for r in read_table(made.labels).to_pylist()]
    for pair in set(grades):
        assert [*pair, str(grades.count(pair)), f"{grades.count(pair) / 200:.3f}"] in [
            [cell.strip() for cell in row] for row in page.rows
        ]
