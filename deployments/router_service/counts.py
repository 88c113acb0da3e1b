"""Counts and times for Prometheus, in a registry of this service alone."""

import re
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from routecal.deployments.router_service.decider import Served

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
# What providers put behind a name: a day, a number of a version.
_DATED = re.compile(r"([-@:]v?\d[\d.-]*)?")
TENTHS = tuple(i / 10 for i in range(1, 11))


class Counts:
    """What `GET /metrics` shows."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._decisions = Counter(
            "routecal_decisions", "Decisions by what serves and why", ["served", "status", "surface"], registry=registry
        )
        self._confidence = Histogram(
            "routecal_confidence", "Confidence in decisions", buckets=TENTHS, registry=registry
        )
        self._deciding = Histogram(
            "routecal_decision_seconds", "Time to a decision, waiting included", buckets=SECONDS, registry=registry
        )
        self._answers = Counter(
            "routecal_answers", "Relayed answers", ["model", "outcome", "status"], registry=registry
        )
        self._answering = Histogram(
            "routecal_answer_seconds", "Time of a whole answer", ["model"], buckets=SECONDS, registry=registry
        )
        self._usd = Counter("routecal_cost_usd", "USD of answers whose price is known", ["model"], registry=registry)
        self._other = Counter(
            "routecal_other_model_answered", "Answers by another model than was asked", ["model"], registry=registry
        )
        self.feedback = Counter("routecal_feedback", "Feedback taken", ["about"], registry=registry)
        self.not_logged = Gauge("routecal_not_logged", "Rows that could not be written", registry=registry)
        self.waiting = Gauge("routecal_waiting", "Queries that wait for a decision", registry=registry)
        self.entry = Gauge("routecal_registry_entry", "Number of the registry's entry in force", registry=registry)
        self.void = Gauge("routecal_guarantee_void", "1 where nothing is promised", registry=registry)
        self.alarms = Gauge("routecal_alarms", "Findings against the head that serves", registry=registry)

    def decided(self, served: Served, surface: str) -> None:
        """Count a decision."""
        self._decisions.labels(served.action.served_by, served.status, surface).inc()
        self._deciding.observe(served.seconds)
        if served.by is not None:
            self._confidence.observe(served.by.confidence)

    def answered(self, row: dict[str, Any]) -> None:
        """Count an answer."""
        model = row["model"]
        self._answers.labels(model, row["outcome"], str(row["status"])).inc()
        self._answering.labels(model).observe(row["seconds"])
        if row["cost_usd"] is not None:
            self._usd.labels(model).inc(row["cost_usd"])
        if row["answered_by"] is not None and not is_same_model(row["answered_by"], model):
            self._other.labels(model).inc()

    def text(self) -> bytes:
        """In Prometheus' format."""
        return bytes(generate_latest(self.registry))


def is_same_model(answered_by: str, asked: str) -> bool:
    """Whether a name is that of the model that was asked, perhaps with its provider before it or its day behind it.

    >>> is_same_model("gpt-x-2026-08-01", "openai/gpt-x"), is_same_model("gpt-x-mini", "gpt-x")
    (True, False)
    """
    answered, meant = answered_by.rpartition("/")[2], asked.rpartition("/")[2]
    return answered.startswith(meant) and _DATED.fullmatch(answered[len(meant) :]) is not None
