"""The page asks for a key where others do, needs no other file, stands whatever the log is like, and keeps nobody."""

import base64
import doctest
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from routecal.deployments.router_service import log_numbers, status_page
from routecal.storage.folder_artifact import folder_at
from routecal.storage.head_registry import append_entry, newest_entry
from routecal.storage.layout import Home
from routecal.storage.served.traffic import Traffic
from tests.calib.packed import QUERIES
from tests.deployments.router_service.conftest import Running, Start
from tests.deployments.router_service.relaying import post
from tests.deployments.router_service.served_log import KEY, KEYS, page_of
from tests.deployments.router_service.test_estimates import PROMISE
from tests.tasks.report.report_page import HOSTILE, Page

PRICES = {"usd_per_million_input": 1.0, "usd_per_million_output": 4.0}


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
