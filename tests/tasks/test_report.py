"""The report: one page that needs nothing else, shows what metrics.json holds, and trusts no text."""

import base64
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from routecal.calib.examples import LABELLED
from routecal.calib.learn.cross_fit import CrossFitPlan
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.settings import EscalationTerms
from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.layout import Home
from routecal.tasks.escalate import escalate
from routecal.tasks.escalation_result import CONFIDENCE, JOINT
from routecal.tasks.escalation_verdict import rule_line, sentence
from routecal.tasks.evaluate import FINAL, Evaluation, predict, score, score_slices
from routecal.tasks.evaluation_verdict import headline, key_figures, next_steps
from routecal.tasks.figures import draw_figures
from routecal.tasks.load_examples import join
from routecal.tasks.operating_table import FEWEST, topic_verdict
from routecal.tasks.report import write_report
from routecal.tasks.train import train_sft
from tests.tasks.made import Made, store_queries, texts

HOSTILE = ("<script>alert(1)</script>", "{{ 7 * 7 }}", "{% include 'x' %}", '"><img src=x onerror=alert(1)>', "a & b")


class Page(HTMLParser):
    """Tags with their attributes, text, headings, and the cells of every table row."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.headings: list[tuple[str, str]] = []
        self.text, self._in_cell, self._in_heading = "", False, False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("h1", "h2"):
            self.headings.append((tag, ""))
            self._in_heading = True
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in_heading:
            tag, text = self.headings[-1]
            self.headings[-1] = (tag, text + data)
        if self._in_cell:
            self.rows[-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False
        if tag in ("h1", "h2"):
            self._in_heading = False


def gains_of(examples: Artifact) -> Artifact:
    """As if an outcome head told most of what the large model gains; topics that are large enough to be shown."""
    table = read_table(examples)
    right = np.array([[g == "CORRECT" for g in table[f"{m}_grade"].to_pylist()] for m in ("medium", "large")], float)
    told = np.clip(0.5 + 0.3 * (right - 0.5) + np.random.default_rng(0).normal(0, 0.05, right.shape), 0, 1)
    columns = {name: table[name] for name in ("query_id", "split")}
    columns |= {"gain": told[1] - told[0], "medium_right": told[0], "large_right": told[1], "confidence": told[0]}
    return write_table(pa.table(columns), "outcome_predictions", home=Home.from_env())


@pytest.fixture(scope="module")
def report(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report whose topics and model names are hostile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTECAL_HOME", str(tmp_path_factory.mktemp("report")))
        asked = texts(200)
        queries = store_queries(asked, topic=[HOSTILE[0 if i % 2 else i % len(HOSTILE)] for i in range(200)])
        examples = join.fn(queries, made.labels, made.features)
        head = train_sft.fn(examples, made.features, CrossFitPlan(hidden_units=8), SFTConfig(epochs=2))
        predictions = predict.fn(examples, made.features, {"SFT": head, FINAL: head})
        artifacts: dict[str, Artifact] = {
            "labels": made.labels, "examples": examples, "predictions": predictions, "head: SFT": head,
        }  # fmt: skip
        facts = {f"Model {i}": name for i, name in enumerate(HOSTILE)} | {HOSTILE[0]: "as a title"}
        more = {
            "slices": score_slices.fn(predictions, examples, FINAL, 0),
            "escalation": escalate.fn(
                predictions,
                examples,
                ["entropy", FINAL],
                LABELLED,
                EscalationTerms(medium_price=1, large_price=9, price_unit=HOSTILE[0], at_most=0.1, probability=0.8),
                gains_of(examples),
            ),
        }
        evaluation = score.fn(predictions, 0).model_copy(update=more)
        drawn = draw_figures.fn(evaluation, predictions, {"SFT": head})
        found = write_report.fn("calibrate-<b>1", evaluation, drawn, artifacts, facts)
        return Path(found).parent


@pytest.fixture(scope="module")
def page(report: Path) -> Page:
    return Page((report / "report.html").read_text(encoding="utf-8"))


def test_four_files_and_nothing_else(report: Path) -> None:
    assert {f.name for f in report.iterdir()} == {"report.html", "metrics.json", "reliability.png", "escalation.png"}
    for name in ("reliability.png", "escalation.png"):
        assert (report / name).read_bytes().startswith(b"\x89PNG")


def test_the_page_needs_nothing_else(report: Path, page: Page) -> None:
    assert "://" not in (report / "report.html").read_text(encoding="utf-8")
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "form", "base"}
    sources = [value for _, attrs in page.tags for name, value in attrs.items() if name in ("src", "href", "srcset")]
    images = [base64.b64decode(s.removeprefix("data:image/png;base64,"), validate=True) for s in sources if s]
    assert len(images) == 5
    assert all(image.startswith(b"\x89PNG") for image in images)
    assert sum(map(len, images)) < 200_000
    assert images[0] == (report / "escalation.png").read_bytes()
    assert images[1] == (report / "reliability.png").read_bytes()
    style = (report / "report.html").read_text(encoding="utf-8").split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_hostile_names_are_shown_as_they_are(page: Page) -> None:
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    for name in HOSTILE:
        assert page.text.count(name) >= 2  # as a topic and as a fact
    assert "49" not in {cell.strip() for row in page.rows for cell in row if "7 * 7" in cell}
    assert "calibrate-<b>1" in page.text


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


def evaluation_of(report: Path) -> Evaluation:
    metrics = json.loads((report / "metrics.json").read_text())
    return Evaluation.model_validate({name: metrics[name] for name in Evaluation.model_fields})


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


def test_headings_of_tables_say_what_they_head(page: Page) -> None:
    scopes = {attrs.get("scope") for tag, attrs in page.tags if tag == "th"}
    assert scopes == {"col", "row", "rowgroup"}
    # The first cell of every row is a heading.
    assert [page.tags[i + 1][0] for i, (tag, _) in enumerate(page.tags) if tag == "tr"] == ["th"] * len(page.rows)


def test_the_page_fits_a_phone_and_wide_tables_scroll_inside_themselves(page: Page) -> None:
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.tags
    tables = [i for i, (tag, _) in enumerate(page.tags) if tag == "table"]
    apart = [i for i in tables if page.tags[i - 1][1].get("class") != "scroll"]
    assert [page.tags[i][1].get("id") for i in apart] == ["verdict"]


def test_alternative_texts_say_what_a_picture_shows_with_its_numbers(report: Path, page: Page) -> None:
    evaluation = evaluation_of(report)
    assert evaluation.escalation is not None
    texts = [str(attrs["alt"]) for tag, attrs in page.tags if tag == "img"]
    final = evaluation.methods[FINAL]
    point = evaluation.escalation.methods[JOINT].point
    wanted = [
        ("Quality against cost", f"quality {point.quality:.1%}"),
        ("Reliability diagram", f"{FINAL}: mean confidence {final.mean_p:.3f}, ECE {final.ece.value:.3f}"),
        ("Reliability before and after", f"Brier score {final.brier.value:.3f}"),
        ("Error rate", f"{FINAL}: {final.risk_at_coverage:.1%} of the surest 80%"),
        ("Training curves", "validation Brier score from 0."),
    ]
    for text, (begins, numbers) in zip(texts, wanted, strict=True):
        assert text.startswith(begins)
        assert numbers in text


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
