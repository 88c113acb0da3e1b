"""What a night's page says, and that nothing in it can be more than text."""

import re
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from routecal.calib.metrics import Estimate
from routecal.calib.night.head_health import Health
from routecal.calib.night.promotion_gate import Condition, GateVerdict
from routecal.storage.artifact import read_table, write_table
from routecal.storage.layout import Home
from routecal.storage.query import connect, run
from routecal.storage.schemas import SCHEMAS
from routecal.tasks.markdown import safe
from routecal.tasks.night import night_report
from routecal.tasks.night.night_report import _row, cost_of, headline, lines, night_page, publish_night
from routecal.tasks.night.night_result import Night

HOSTILE = "<img src=x onerror=alert(1)> [x](javascript:alert(1)) `code` | \x1b[31mred\n# heading"


def night(**more: object) -> Night:
    """A refused one."""
    known = {"run_id": "recalibrate-1", "action": "refused", "reasons": ("ECE is large",), "n_new": 9, "n_labelled": 5}
    verdict = GateVerdict(
        n=400,
        conditions=(Condition(is_met=False, reason="ECE is large"),),
        brier_difference=Estimate(value=0.0, low=-0.01, high=0.01),
        candidate={"ece": Estimate(value=0.2, low=0.1, high=0.3), "brier": Estimate(value=0.21, low=0.2, high=0.22)},
        champion={"ece": Estimate(value=0.03, low=0.02, high=0.05), "brier": Estimate(value=0.2, low=0.1, high=0.3)},
    )
    return Night.model_validate({**known, "verdict": verdict, "cost_usd": 1.25, **more})


def told(one: Night) -> str:
    rows = write_table(_row(one), "nights", home=Home.from_env())
    with connect(nights=rows) as con:
        return night_page(one, rows, run(con, "nights").to_pylist())


def test_the_page_says_what_why_at_what_cost_what_serves_and_what_to_do() -> None:
    text = told(night(report="/home/reports/r/report.html", serving="abc", escalated=0.4567, n_files=1))
    assert text.startswith(
        "# The new head was refused\n\n"
        "Calibration error \\(ECE\\) 0.200, 0.030 with the serving head, on 400 held-out queries\n"
    )
    # Statistics come last.
    titles = re.findall(r"\*\*(\w[\w ]*)\*\*", text)
    assert titles == ["Serving", "Labels", "To do", "Why"]
    assert "9 queries without a label in 1 file; 5 labelled tonight, for 1.25 USD" in text
    assert "head abc, which escalates 45.7% of queries" in text
    assert "what served before serves on" in text
    assert "](data:image/png;base64,iVBOR" in text
    assert len(text) < 200_000
    assert "report.html" in text


def test_no_sentence_is_said_twice() -> None:
    conditions = (
        Condition(is_met=False, reason="ECE is large"),
        Condition(is_met=False, reason="a slice is worse"),
        Condition(is_met=True, reason="Brier is fine"),
    )
    one = night(reasons=("ECE is large", "a slice is worse"))
    assert one.verdict is not None
    one = one.model_copy(update={"verdict": one.verdict.model_copy(update={"conditions": conditions})})
    text = told(one)
    assert [text.count(c.reason) for c in conditions] == [1, 1, 1]
    assert "- met: Brier is fine" in text
    assert lines(one)["why"] == ["ECE is large", "a slice is worse"]
    quiet = night(action="quiet", reasons=("nothing came", "the head is old"), verdict=None)
    assert headline(quiet) == "Nothing was labelled: nothing came"
    assert lines(quiet)["why"] == ["the head is old"]


@pytest.mark.parametrize(
    ("facts", "champion", "said"),
    [
        (("it costs more",), True, "saves 12%; it escalates more queries than the head before; calibration error"),
        ((), True, "saves 12%; calibration error (ECE) 0.200, 0.030 with the head before, on 400 held-out"),
        ((), False, "saves 12%; calibration error (ECE) 0.200, on 400 held-out"),
    ],
)
def test_a_promotion_begins_with_what_it_means_for_cost_and_quality(
    facts: tuple[str, ...], champion: bool, said: str
) -> None:
    one = night(action="promoted", money="Saves 12%")
    assert one.verdict is not None
    verdict = one.verdict.model_copy(update={"facts": facts} | ({} if champion else {"champion": {}}))
    one = one.model_copy(update={"verdict": verdict})
    assert headline(one).startswith(f"A new head was promoted: {said}")
    # What a head would have saved that does not serve is no news.
    assert "12%" not in headline(one.model_copy(update={"action": "refused"}))
    assert "12%" in headline(one.model_copy(update={"action": "waiting"}))


def test_the_picture_says_what_it_shows_and_the_report_is_a_link_where_it_is_served() -> None:
    one = night(report="/home/reports/r/report.html")
    rows = write_table(_row(one), "nights", home=Home.from_env())
    with connect(nights=rows) as con:
        trend = run(con, "nights").to_pylist()
    text = night_page(one, rows, trend, link="/reports/r/report.html")
    assert "![ECE and Brier score of the serving head over 1 night: ECE from 0.030 to 0.030, Brier" in text
    assert "[Open the full report](/reports/r/report.html)" in text
    assert "/home/" not in text


def test_the_table_of_nights_is_short_and_rounded() -> None:
    text = told(night(escalated=0.08065995221036627))
    (row,) = [line for line in text.splitlines() if "| refused |" in line]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:] == ["refused", "9", "5", "1.25", "0.030", "0.200", "8.1%"]
    assert len(row) < 90


def test_an_alarm_is_in_the_headline_once_and_an_event_where_it_was_found_tonight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[str] = []
    monkeypatch.setattr(night_report, "emit_event", lambda event, **_: events.append(event))
    monkeypatch.setattr(night_report, "create_markdown_artifact", lambda *_, **__: None)
    monkeypatch.setattr(night_report, "create_table_artifact", lambda *_, **__: None)
    ece = Estimate(value=0.2, low=0.1, high=0.3)
    off = Health(n=200, ece=ece, brier=ece, noise_high=0.1)
    (complaint,) = off.complaints
    one = night(action="quiet", reasons=("nothing came", complaint), verdict=None, alarm=complaint, serving="abc")
    assert headline(one) == (
        f"Nothing was labelled: nothing came; alarm, so nothing is promised of the serving head: {complaint}"
    )
    assert "why" not in lines(one)
    assert "its guarantee is void" in told(one)
    for health, found in ((off, ["quiet", "alarm"]), (Health(n=200), ["quiet"]), (None, ["quiet"])):
        events.clear()
        publish_night.fn(one.model_copy(update={"health": health}), [], "r" * 64)
        assert events == [f"routecal.night.{what}" for what in found]
    events.clear()
    publish_night.fn(one.model_copy(update={"health": off, "alarm": ""}), [], "r" * 64)  # a better head serves
    assert events == ["routecal.night.quiet"]


@pytest.mark.parametrize("action", ["promoted", "refused", "waiting", "quiet", "gathering"])
def test_every_ending_has_its_words(action: str) -> None:
    one = night(action=action, reasons=(), verdict=None)
    assert len(headline(one)) > 10
    assert lines(one)["to do"]
    assert ":" not in headline(one)


def test_a_night_that_labelled_nothing_names_no_cost() -> None:
    assert "USD" not in " ".join(lines(night(n_labelled=0, cost_usd=0.0))["labels"])
    assert lines(night())["serving"] == ["no head serves yet"]


def test_a_row_tells_of_both_heads() -> None:
    row = _row(night(health=Health(n=50))).to_pylist()[0]
    assert (row["champion_ece"], row["candidate_ece"], row["brier_difference_high"]) == (0.03, 0.2, 0.01)
    quiet = _row(night(action="quiet", verdict=None, health=Health(n=50))).to_pylist()[0]
    assert (quiet["n_window"], quiet["champion_ece"], quiet["candidate_ece"]) == (50, None, None)


@pytest.mark.parametrize("field", ["reasons", "unreadable"])
def test_what_users_wrote_is_text(field: str) -> None:
    text = told(night(**{field: (HOSTILE,)}, verdict=None))
    assert "<img" not in text
    assert "](javascript" not in text
    assert "\x1b" not in text
    assert "\n# heading" not in text


def test_endless_text_is_cut() -> None:
    assert len(safe("a" * 1_000_000)) == 2000


def test_cost_is_unknown_where_no_price_is() -> None:
    blank = {field.name: None for field in SCHEMAS["labels"]}
    given = {"query_id": "a", "oracle": "replay", "medium_model": "m", "large_model": "l", "judge": "j"}
    row = {**blank, **given, "true_policy": "Standard_Query", "labelled_at": datetime(2026, 1, 1, tzinfo=UTC)}
    home = Home.from_env()
    costs = []
    for priced in (row, {**row, "medium_cost_usd": 0.25, "judge_cost_usd": 0.5}):
        table = pa.Table.from_pylist([priced], schema=SCHEMAS["labels"])
        costs.append(cost_of(write_table(table, "labels", home=home)))
    assert costs == [None, 0.75]
    assert read_table(write_table(_row(night()), "nights", home=home)).num_rows == 1
