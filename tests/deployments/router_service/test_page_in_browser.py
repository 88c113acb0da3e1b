"""The page in a browser: its numbers are those of the log, hostile words stay text, it fits a phone, a key opens it."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest

from routecal.calib.feedback.live_calibration import live_calibration
from routecal.calib.feedback.saved_cost import Costs, saved_cost
from routecal.calib.metrics import Estimate
from routecal.deployments.router_service import status_page
from tests.calib.packed import QUERIES, change
from tests.deployments.router_service.conftest import Start
from tests.deployments.router_service.served_log import KEY, KEYS, STATUSES, write_log
from tests.served.conftest import browsing

pytestmark = pytest.mark.served


def number(text: str) -> float:
    """A number as the page writes it, in whatever unit; the first of several."""
    return float(re.findall(r"-?[\d,]*\.?\d+", text)[0].replace(",", ""))


def test_numbers_in_the_browser_are_those_of_the_log(start: Start, tmp_path: Path) -> None:
    write_log(tmp_path / "served", 1200)
    with start() as running, browsing() as page:
        httpx.post(f"{running.url}/v1/route", json={"queries": QUERIES})
        page.goto(running.url)
        page.locator("#decisions").wait_for()
        now = datetime.now(UTC)
        cells = {row: page.locator(f"#{row} td").all_inner_texts() for row in ("n", "medium", "large", "p50", "p95")}
        cells |= {row: page.locator(f"#{row} td").all_inner_texts() for row in STATUSES}
        rows = running.rows("decisions")
        assert len(rows) == 1206
        for i, reach in enumerate((timedelta(hours=1), timedelta(days=1), timedelta(days=99))):
            inside = [row for row in rows if now - row["at"] <= reach]
            assert number(cells["n"][i]) == len(inside)
            for name, column in [(one, "served") for one in ("medium", "large")] + [
                (one, "status") for one in STATUSES
            ]:
                share = sum(row[column] == name for row in inside) / len(inside)
                assert cells[name][i] == f"{100 * share:.1f} %"
            for name, share in (("p50", 0.5), ("p95", 0.95)):
                seconds = np.quantile([row["decided_s"] for row in inside], share, method="inverted_cdf")
                unit = 1 if cells[name][i].endswith(" s") else 1000
                assert number(cells[name][i]) == pytest.approx(unit * seconds, rel=0.06)

        answers = running.rows("answers")
        decided = {row["decision_id"]: row["served"] for row in rows if row["status"] != "asked"}
        usd = {
            model: [a["cost_usd"] for a in answers if decided.get(a["decision_id"]) == model and a["cost_usd"]]
            for model in ("medium", "large")
        }
        saved = len(usd["medium"]) * float(np.mean(usd["large"])) - sum(usd["medium"])
        interval = saved_cost(Costs.of(usd["medium"]), Costs.of(usd["large"])).saved_usd
        said = page.locator("#saved").inner_text()
        assert f"{status_page.usd(saved)} USD saved" in said
        assert f"[{status_page.usd(interval.low)}, {status_page.usd(interval.high)}]" in said
        assert page.locator("#saved-from").inner_text().startswith(f"{len(usd['medium']):,} answers of the medium")
        unpriced = sum(a["decision_id"] in decided and a["cost_usd"] is None for a in answers)
        assert number(page.locator("#unpriced").inner_text()) == unpriced > 10

        said_of = {row["decision_id"]: row["medium_right"] for row in rows}
        graded = [(said_of[word["decision_id"]], float(word["correct"])) for word in running.rows("feedback")]
        p, y = np.array(graded).T
        found = live_calibration(p, y)
        assert page.locator("#brier").inner_text().startswith(f"{np.mean((p - y) ** 2):.3f} [")
        for name, estimate in (("brier", found.brier), ("ece", found.ece)):
            assert isinstance(estimate, Estimate)
            assert page.locator(f"#{name}").inner_text() == f"{estimate:.3f}"
        assert f"{100 * y.mean():.1f} % of 400 graded" in page.locator("#calibration").inner_text()
        # p lies above .5, in five bins.
        in_bins = [int(((p >= low / 10) & (p < low / 10 + 0.1)).sum()) for low in range(5, 10)]
        assert [int(text) for text in page.locator("#bins td:last-child").all_inner_texts()] == in_bins
        assert page.locator("svg circle").count() == 5
        assert page.locator("#alarms-none").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_hostile_words_stay_text_on_a_phone(scheme: str, start: Start, packed: Path, tmp_path: Path) -> None:
    hostile = "<script>window.hacked=1</script><img src=x onerror=window.hacked=2>{{ 7 * 7 }}" + "A" * 500
    write_log(
        tmp_path / "served",
        300,
        **dict.fromkeys(("client", "asked_model", "surface", "query", "reason", "outcome", "source"), hostile),
    )
    before = packed.joinpath("config.json").read_text()
    change(packed, head_version=hostile)
    try:
        models = {
            kind: {"base_url": "http://127.0.0.1:9/v1", "model": f"{kind}{hostile}"} for kind in ("medium", "large")
        }
        with start(**models) as running, browsing(color_scheme=scheme) as page:
            router = running.service.decider.router
            router.alarm, router._void = hostile, ""
            running.service.log.reason, running.service.log.not_logged = hostile, 1234
            page.set_viewport_size({"width": 320, "height": 700})
            page.goto(running.url)
            page.locator("#decisions").wait_for()
            assert page.evaluate("window.hacked") is None
            assert page.locator("script, img, iframe, link, form").count() == 0
            assert page.locator("h1").inner_text() == f"Head {hostile} serves"
            assert f"medium{hostile} (medium), large{hostile} (large)" == page.locator("#models").inner_text()
            alarms = page.locator("#alarms li").all_inner_texts()
            assert alarms[0] == f"{hostile} (this process)"
            assert alarms[1].startswith(f"decisions are not logged: {hostile}")
            assert alarms[2].startswith("1,234 rows")
            assert page.locator("#promise").inner_text() == f"no guarantee: {hostile}"
            assert page.evaluate("document.documentElement.scrollWidth") == 320
            back, text = page.evaluate(
                "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
            )
            luminances = [sum(int(part) for part in re.findall(r"\d+", colour)[:3]) for colour in (back, text)]
            assert (luminances[0] < luminances[1]) == (scheme == "dark")
    finally:
        packed.joinpath("config.json").write_text(before)


def test_a_browser_that_is_given_the_key_as_a_password_sees_the_page(start: Start) -> None:
    with start(keys=KEYS) as running:
        with browsing(http_credentials={"username": "anybody", "password": KEY}) as page:
            assert page.goto(running.url).status == 200
            assert page.locator("h1").inner_text() == "Head abc serves"
        with browsing(http_credentials={"username": "anybody", "password": "wrong"}) as page:
            assert page.goto(running.url).status == 401
