"""The page says what the log says, to those who may see it, in a browser and on a phone, and nobody waits for it."""

import base64
import doctest
import hashlib
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from routecal.calib.feedback.live_calibration import live_calibration
from routecal.calib.feedback.saved_cost import Costs, saved_cost
from routecal.calib.metrics import Estimate
from routecal.deployments.router_service import log_numbers, status_page
from routecal.storage.folder_artifact import folder_at
from routecal.storage.head_registry import append_entry, newest_entry
from routecal.storage.layout import Home
from routecal.storage.served.traffic import Traffic
from tests.calib.packed import QUERIES, change
from tests.deployments.router_service.conftest import Running, Start, until
from tests.deployments.router_service.relaying import post
from tests.deployments.router_service.served_log import STATUSES, write_log
from tests.deployments.router_service.test_estimates import PROMISE
from tests.served.conftest import browsing
from tests.tasks.report.report_page import HOSTILE, Page

PRICES = {"usd_per_million_input": 1.0, "usd_per_million_output": 4.0}
KEY = "secret-kéy: with a colon"
KEYS = [
    {"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest()} for name, key in (("a", KEY), ("b", "plain"))
]


def page_of(running: Running, **more: Any) -> httpx.Response:
    """Once the log was read."""
    until(lambda: "being read" not in httpx.get(running.url, timeout=60, **more).text)
    return httpx.get(running.url, timeout=60, **more)


def number(text: str) -> float:
    """A number as the page writes it, in whatever unit; the first of several."""
    return float(re.findall(r"-?[\d,]*\.?\d+", text)[0].replace(",", ""))


@pytest.mark.served
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


@pytest.mark.served
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


@pytest.mark.served
def test_a_browser_that_is_given_the_key_as_a_password_sees_the_page(start: Start) -> None:
    with start(keys=KEYS) as running:
        with browsing(http_credentials={"username": "anybody", "password": KEY}) as page:
            assert page.goto(running.url).status == 200
            assert page.locator("h1").inner_text() == "Head abc serves"
        with browsing(http_credentials={"username": "anybody", "password": "wrong"}) as page:
            assert page.goto(running.url).status == 401


def test_the_page_needs_a_key_where_others_do_and_the_password_opens_nothing_else(start: Start) -> None:
    with start(keys=KEYS) as running:
        for path in ("/", "/grafana.json"):
            refused = httpx.get(running.url + path)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"].startswith('Basic realm="')
            basic = base64.b64encode(f"me:{KEY}".encode()).decode()
            allowed = [f"Basic {basic}", f"basic {basic}", "Bearer plain"]
            wrong = base64.b64encode(b"me:wrong").decode()
            no_colon = base64.b64encode(KEY.encode()).decode()
            for said in (
                f"Basic {wrong}",
                f"Basic {no_colon}",
                "Basic ====",
                "Basic /w==",
                "Basic",
                "Bearer",
                f"Basic {KEY}",
            ):
                assert httpx.get(running.url + path, headers={"Authorization": said.encode()}).status_code == 401, said
            for said in allowed:
                assert httpx.get(running.url + path, headers={"Authorization": said.encode()}).status_code == 200, said
        said = {"Authorization": f"Basic {basic}"}
        assert httpx.post(f"{running.url}/v1/route", json={"query": "a"}, headers=said).status_code == 401


def test_an_empty_log_and_a_page_that_needs_nothing_else(running: Running) -> None:
    answer = page_of(running)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline';")
    assert answer.headers["cache-control"] == "no-store"
    page = Page(answer.text)
    rows = {row[0].split(" ")[0]: row[1:] for row in page.rows}
    assert rows["decisions"] == ["0"] * 3
    assert rows["ok"] == rows["time"] == ["–"] * 3
    assert "0 answers of the medium model have a known price" in page.text
    assert "0 graded answers say nothing of a calibration" in page.text
    assert "no guarantee: the folder was packed without one" in page.text
    assert "://" not in answer.text
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    assert ("meta", {"http-equiv": "refresh", "content": "30"}) in page.tags
    assert {attrs["href"] for tag, attrs in page.tags if tag == "a"} == {"docs", "metrics", "grafana.json"}
    for path in ("docs", "metrics", "grafana.json"):
        assert httpx.get(f"{running.url}/{path}").status_code == 200


def test_what_is_served_shows_with_its_price_once_enough_is(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_numbers, "KEPT_S", 0.0)
    monkeypatch.setattr(log_numbers, "KEPT_TIMES", 0.0)
    monkeypatch.setattr("routecal.calib.feedback.saved_cost.FEWEST", 2)
    models = {
        kind: {"base_url": "http://127.0.0.1:9/v1", "model": name, **PRICES}
        for kind, name in (("medium", "flash"), ("large", "pro"))
    }
    with start() as other:
        for kind, upstream in (("medium", other.medium), ("large", other.large)):
            models[kind]["base_url"] = upstream.url
        models["large"] |= {"usd_per_million_input": 10.0}
        with start(**models, log=other.service.settings.log / "more") as running:
            # Asked for by name: no money of the decisions'.
            for name in ("flash", "pro", "pro"):
                post(running, model=name)
            running.answers(3)
            text = page_of(running).text
            assert "0 answers of the medium model have a known price" in text
            assert "<td>100.0 %</td>" in text.split('<tr id="asked">')[1].split("</tr>")[0]
            for query in QUERIES:
                post(running, messages=[{"role": "user", "content": query}])
            running.answers(3 + len(QUERIES))
            text = page_of(running).text
    # 7 tokens in and 3 out: 19 millionths of the medium model, 82 of the large one; half of the queries each.
    assert "0.000189 USD saved" in text
    assert "3 answers of the medium model cost 0.0000570 USD" in text


def test_nobody_waits_for_the_log_and_it_is_read_once_for_all(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on, reads, windows = threading.Event(), [], Traffic.windows

    def slow(self: Traffic, now: datetime) -> Any:
        reads.append(threading.current_thread().name)
        assert goes_on.wait(60)
        return windows(self, now)

    monkeypatch.setattr(Traffic, "windows", slow)
    monkeypatch.setattr(log_numbers, "WAITS_S", 0.3)
    monkeypatch.setattr(log_numbers, "KEPT_S", 60.0)
    with start() as running:
        try:
            with ThreadPoolExecutor(12) as many:
                pages = list(many.map(lambda _: httpx.get(running.url, timeout=30).text, range(12)))
                assert all("read for the first time" in text and "Head abc serves" in text for text in pages)
                began = time.perf_counter()
                assert httpx.get(f"{running.url}/healthz").text == "ok"
                assert httpx.post(f"{running.url}/v1/route", json={"query": "a"}, timeout=30).status_code == 200
                assert time.perf_counter() - began < 20
        finally:
            goes_on.set()
        text = page_of(running).text
        for _ in range(5):
            # As it was when it was read: those numbers are kept.
            assert httpx.get(running.url).text.split("Log read at")[1] == text.split("Log read at")[1]
    assert len(reads) == 1
    assert reads[0].startswith("page")


def test_a_log_that_cannot_be_read_costs_the_numbers_alone(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "served" / "decisions"
    with start() as running:
        (folder / "20260101T000000.000000Z-broken.parquet").write_bytes(b"no Parquet")
        answer = page_of(running)
        assert answer.status_code == 200
        assert "the log cannot be read: " in answer.text
        assert "Head abc serves" in answer.text
        assert '<table id="decisions">' not in answer.text


def test_alarms_and_the_registry_s_times_show(
    start: Start, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_numbers, "KEPT_S", 0.0)
    monkeypatch.setattr(log_numbers, "KEPT_TIMES", 0.0)
    home = Home(root=str(tmp_path / "home"))
    monkeypatch.setenv("ROUTECAL_HOME", home.root)
    served = folder_at(str(packed), "calibrated")
    promoted = append_entry(home, "promoted", champion=served, after=0)
    monkeypatch.setattr("routecal.storage.head_registry.datetime", _Later)
    refused = append_entry(home, "refused", champion=served, after=1)
    assert refused.at - promoted.at > timedelta(hours=20)
    with start(head="champion") as running:
        text = page_of(running).text
        assert f"{status_page.when(promoted.at)}, by the registry" in text
        assert "No alarm." in text
        router = running.service.decider.router
        router.serving, router._void = router.serving.model_copy(update={"guarantee": PROMISE}), ""
        promise = re.search(r'id="promise">(.*?)</dd>', httpx.get(running.url).text)
        assert promise is not None
        assert promise[1] == str(PROMISE)
        # Its thread would say what it found itself.
        running.service.watcher.close()
        running.service.watcher.findings = ("queries are other ones: 9 of the last 10",)
        router.alarm = "said in the registry"
        page = Page(httpx.get(running.url).text)
        assert "2 alarms" in page.text
        assert "queries are other ones: 9 of the last 10 (graded answers and queries)" in page.text
        assert "said in the registry (the registry)" in page.text
        assert "no guarantee: said in the registry" in page.text
        assert str(PROMISE) not in page.text
        assert str(PROMISE) not in page.text
    assert newest_entry(home) == refused


class _Later(datetime):
    """A day on."""

    @classmethod
    def now(cls, tz: Any = None) -> "_Later":
        return super().now(tz) + timedelta(days=1)


def test_numbers_are_written_as_people_read_them() -> None:
    found = doctest.testmod(status_page)
    assert found.attempted == 4
    assert not found.failed


def test_hostile_names_of_the_report_are_text_here_too(start: Start) -> None:
    for text in HOSTILE:
        model = {"base_url": "http://127.0.0.1:9/v1", "model": text}
        with start(medium=model) as running:
            page = Page(httpx.get(running.url, timeout=60).text)
            assert f"{text} (medium)" in page.text
            assert not {"script", "img"} & {tag for tag, _ in page.tags}
