"""The page by itself: nothing from elsewhere, hostile names as text, words for pictures, a phone's width."""

import base64
from pathlib import Path

from routecal.tasks.escalation_result import JOINT
from routecal.tasks.evaluate import FINAL
from tests.tasks.report.report_page import HOSTILE, Page, evaluation_of


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
