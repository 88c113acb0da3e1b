"""The page of an evaluation in the UI: what it comes to stands first, then what speaks against the head."""

import httpx
import numpy as np
import pytest

from routecal.calib.escalation import Outcomes, saving_at
from routecal.calib.metrics import Estimate
from routecal.calib.metrics.summary import summarise
from routecal.tasks import evaluation_summary
from routecal.tasks.escalation_result import Escalation, OperatingPoint
from routecal.tasks.evaluate import FINAL, Evaluation
from routecal.tasks.evaluation_verdict import head_warnings
from routecal.tasks.markdown import report_link

HEAD = summarise([0.9, 0.8, 0.2, 0.3] * 20, [1, 1, 0, 0] * 20, n_replicates=50)


def evaluation(auroc: Estimate | None) -> Evaluation:
    """Of a head whose confidence ranks decisions like that."""
    head = HEAD.model_copy(update={"auroc": auroc})
    escalation = Escalation(unit="USD", margin=0.01, n_chosen_on=9, note="no answer has a grade")
    return Evaluation(methods={FINAL: head}, brier_difference=None, escalation=escalation)


def test_what_it_comes_to_stands_before_what_it_was_measured_on(tmp_path) -> None:
    text = evaluation_summary.evaluation_page(evaluation(None), str(tmp_path / "report.html"))
    assert text.startswith(
        "# What escalating saves is not known \\(no answer has a grade\\); ECE 0.200 on 80 test queries\n"
    )
    assert "## What to do" not in text


def test_what_speaks_against_a_head_is_on_the_page_once(tmp_path) -> None:
    found = evaluation(Estimate(value=0.5, low=0.4, high=0.6))
    text = evaluation_summary.evaluation_page(found, str(tmp_path / "report.html"))
    assert text.index("## What to do") < text.index("## Every method")
    assert len(head_warnings(found)) == 1
    assert text.count("is not shown to tell right decisions from wrong ones") == 1


def test_the_report_is_a_link_where_the_server_serves_it_and_a_path_elsewhere(tmp_path) -> None:
    report, found = str(tmp_path / "report.html"), evaluation(None)
    linked = evaluation_summary.evaluation_page(found, report, link="/reports/r/report.html")
    assert "[Open the full report](/reports/r/report.html)" in linked
    assert report not in linked
    assert f"Report: `{report}`" in evaluation_summary.evaluation_page(found, report)


def test_the_method_in_question_is_the_first_of_a_table_that_fits_the_page(tmp_path) -> None:
    found = evaluation(None)
    found = found.model_copy(update={"methods": {"entropy": HEAD, **found.methods}})
    text = evaluation_summary.evaluation_page(found, str(tmp_path / "report.html"))
    head, _, *rows = [line for line in text.splitlines() if line.startswith("|")]
    assert [row.split(" | ")[0] for row in rows] == [f"| **{FINAL}**", "| entropy"]
    assert head.count("|") == 6
    assert max(map(len, rows)) < 120


def test_operating_points_are_a_table_of_what_can_be_had(tmp_path) -> None:
    same = Outcomes(np.ones(40), np.ones(40), np.ones(40), np.full(40, 10.0))
    had = saving_at(same, np.arange(40.0), threshold=9.5)  # a quarter is kept
    points = [
        OperatingPoint(asked="at most 1 point lost, with 95 %", is_promised=True, saving=None),
        OperatingPoint(asked="20% saved", is_promised=False, saving=had),
        OperatingPoint(asked="95% saved", is_promised=False, saving=None),
    ]
    found = evaluation(None)
    assert found.escalation is not None
    found = found.model_copy(update={"escalation": found.escalation.model_copy(update={"points": points})})
    text = evaluation_summary.evaluation_page(found, str(tmp_path / "report.html"))
    table = text[text.index("## Operating points") : text.index("## Every method")]
    _, _, *rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    assert rows[0] == ["at most 1 point lost, with 95 %", "–", "–", "not from 9 labels"]
    assert rows[1][:2] == ["20% saved", "25.0%"]
    assert rows[1][2].startswith("22.5 ")
    assert rows[1][3].startswith("+0.0 ")
    assert rows[2] == ["95% saved", "–", "–", "–"]


def test_pictures_have_texts_that_say_what_they_show(tmp_path) -> None:
    (tmp_path / "reliability.png").write_bytes(b"png")
    text = evaluation_summary.evaluation_page(evaluation(None), str(tmp_path / "report.html"))
    assert f"![Reliability diagram: accuracy against confidence in ten bins, on {HEAD.n} test queries" in text


def test_where_no_server_serves_the_report_there_is_no_link(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Client:
        api_url = "http://127.0.0.1:1/api/"

        def __enter__(self) -> "Client":
            return self

        def __exit__(self, *_: object) -> None: ...

        def request(self, method: str, url: str) -> None:
            asked.append((method, url))
            if "gone" in url:
                raise httpx.ConnectError("nobody answers")

    monkeypatch.setattr("routecal.tasks.markdown.get_client", lambda **_: Client())
    assert report_link("/home/reports/r-1/report.html") == "/reports/r-1/report.html"
    assert report_link("s3://lake/reports/gone/report.html") is None
    assert asked == [
        ("HEAD", "http://127.0.0.1:1/reports/r-1/report.html"),
        ("HEAD", "http://127.0.0.1:1/reports/gone/report.html"),
    ]
