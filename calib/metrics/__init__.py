"""Metrics over (p, y): confidence in [0, 1] and whether the router's policy was right."""

from collections.abc import Callable
from typing import NamedTuple

from calib.errors import UnknownName
from calib.metrics.binned import ReliabilityBins, ece, reliability_bins
from calib.metrics.bootstrap import Estimate, NoiseFloor, intervals, noise_floor, paired_difference
from calib.metrics.proper import brier, brier_skill, log_loss
from calib.metrics.ranking import auroc
from calib.metrics.summary import Summary, summarise


class Metric(NamedTuple):
    """A metric and its direction; fn(p, y) gives None where it is undefined."""

    fn: Callable[..., float | None]
    lower_is_better: bool


METRICS: dict[str, Metric] = {
    "ece": Metric(ece, True),
    "brier": Metric(brier, True),
    "log_loss": Metric(log_loss, True),
    "brier_skill": Metric(brier_skill, False),
    "auroc": Metric(auroc, False),
}


def get(name: str) -> Metric:
    """The metric of that name.

    Raises:
        UnknownName: no such metric; lists those there are.

    >>> get("brier").lower_is_better
    True
    """
    if name not in METRICS:
        raise UnknownName("metric", name, METRICS)
    return METRICS[name]


__all__ = [
    "METRICS",
    "Estimate",
    "Metric",
    "NoiseFloor",
    "ReliabilityBins",
    "Summary",
    "auroc",
    "brier",
    "brier_skill",
    "ece",
    "get",
    "intervals",
    "log_loss",
    "noise_floor",
    "paired_difference",
    "reliability_bins",
    "summarise",
]
