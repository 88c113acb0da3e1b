"""The dashboard asks for nothing that /metrics does not serve, and is what Grafana imports."""

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from itertools import combinations
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.calib.packed import QUERIES
from tests.deployments.router_service.conftest import Start
from tests.deployments.router_service.raw_upstream import Asked, Line, completion, whole
from tests.deployments.router_service.relaying import behave, post

PRICES = {"usd_per_million_input": 1.0, "usd_per_million_output": 4.0}
# What PromQL and Grafana say themselves.
WORDS = {"by", "histogram_quantile", "increase", "le", "max", "rate", "scalar", "sum"}


async def another_answers(_: Asked, line: Line) -> None:
    """By a model that nobody asked for."""
    await line.send(whole(completion(model="another")))


@pytest.fixture
def dashboard() -> Any:
    """The file."""
    return json.loads((files("routecal.deployments.router_service") / "grafana.json").read_bytes())


@pytest.fixture
def served(start: Start, dashboard: Any) -> dict[str, set[str]]:
    """By the name of each sample at /metrics, after some requests: its labels. The file is handed out beside them."""
    with start() as other:
        models = {
            kind: {"base_url": upstream.url, "model": name, **PRICES}
            for kind, name, upstream in (("medium", "flash", other.medium), ("large", "pro", other.large))
        }
        behave(other, another_answers)
        with start(**models, log=other.service.settings.log / "more") as running:
            for query in QUERIES:
                said = post(running, messages=[{"role": "user", "content": query}])
                word = {"decision_id": said.headers["x-routecal-decision-id"], "correct": True}
                assert httpx.post(f"{running.url}/v1/feedback", json=word).status_code == 200
            running.answers(len(QUERIES))
            text = httpx.get(f"{running.url}/metrics").text
            assert httpx.get(f"{running.url}/grafana.json").json() == dashboard
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def targets(dashboard: Any) -> Iterator[Any]:
    """Of all panels."""
    for panel in dashboard["panels"]:
        assert panel["targets"], panel["title"]
        yield from panel["targets"]


def test_every_panel_asks_for_what_is_served(served: dict[str, set[str]], dashboard: Any) -> None:
    asked: set[str] = set()
    for target in targets(dashboard):
        expression = target["expr"]
        names = set(re.findall(r"routecal_\w+", expression))
        assert names
        assert names <= served.keys(), names - served.keys()
        asked |= names
        # Prometheus adds the job.
        labels = set.intersection(*(served[name] for name in names)) | {"job"}
        grouped = {label.strip() for found in re.findall(r"by \(([^)]*)\)", expression) for label in found.split(",")}
        matched = set(re.findall(r"(\w+)(?:=~|=)\"", expression))
        assert grouped | matched <= labels, expression
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= grouped
        assert expression.count("(") == expression.count(")")
        bare = re.sub(r"routecal_\w+|\{[^}]*\}|\[\$__\w+\]|by \([^)]*\)", " ", expression)
        assert set(re.findall(r"[A-Za-z_]\w*", bare)) <= WORDS
        # A counter only means something by how fast it grows; a bucket by what lies below it.
        if names & {name for name in served if name.endswith(("_total", "_bucket"))}:
            assert re.search(r"(rate|increase)\(routecal", expression)
        if any(name.endswith("_bucket") for name in names):
            assert re.match(r"histogram_quantile\(0\.\d+, sum by \((?:\w+, )*le\)", expression)
    # Each thing that is counted is shown.
    bases = {re.sub(r"_(total|bucket|sum|count|created)$", "", name) for name in served}
    assert {re.sub(r"_(total|bucket)$", "", name) for name in asked} == bases
    variables = [v["query"]["query"] for v in dashboard["templating"]["list"] if v["type"] == "query"]
    assert all(set(re.findall(r"routecal_\w+", query)) <= served.keys() for query in variables)


def test_grafana_can_import_it(dashboard: Any) -> None:
    assert dashboard["id"] is None
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", dashboard["uid"])
    assert dashboard["title"]
    assert dashboard["schemaVersion"] >= 36
    assert {"from", "to"} == dashboard["time"].keys()
    variables = {one["name"]: one for one in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    source = {"type": "prometheus", "uid": "${datasource}"}
    assert variables["job"]["datasource"] == source
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["type"] in ("stat", "timeseries")
        assert panel["datasource"] == source
        assert all(target["datasource"] == source for target in panel["targets"])
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
        assert panel["fieldConfig"]["defaults"]["unit"]
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
