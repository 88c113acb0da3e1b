"""Every metric by name: how to compute it, which way is better, and by what its interval is found."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from routecal.calib.errors import known
from routecal.calib.metrics.binned import ece, ece_debiased, ece_equal_mass
from routecal.calib.metrics.murphy import brier_reliability, brier_resolution
from routecal.calib.metrics.proper import brier, brier_rows, brier_skill, log_loss, skill_rows
from routecal.calib.metrics.ranking import auprc, auroc, auroc_of
from routecal.calib.metrics.replicates import OnRows, OnTies, Prepare
from routecal.calib.metrics.selective import (
    augrc,
    augrc_of,
    aurc,
    aurc_of,
    coverage_at_risk,
    decision_accuracy,
    e_aurc,
    risk_at_coverage,
)
from routecal.calib.metrics.significance import ks, kuiper
from routecal.calib.metrics.smooth import smooth_ece


class Metric(NamedTuple):
    """A metric and its direction.

    Attributes:
        fn: (p, y) to a number, None where it is undefined.
        lower_is_better: its direction.
        prepare: the same on bootstrap replicates, see `calib.metrics.replicates`; None where resampling does not say
            how far off the number may be, or nobody has checked that it does.
    """

    fn: Callable[..., float | None]
    lower_is_better: bool
    prepare: Prepare | None = None


METRICS: dict[str, Metric] = {
    # calibration
    "ece": Metric(ece, True),  # its interval: `calib.metrics.calibration_interval`
    "ece_l2": Metric(partial(ece, norm=2), True),
    "ece_max": Metric(partial(ece, norm="max"), True),
    "ece_equal_mass": Metric(ece_equal_mass, True),
    "ece_debiased": Metric(ece_debiased, True),
    "smooth_ece": Metric(smooth_ece, True),
    "kuiper": Metric(kuiper, True),
    "ks": Metric(ks, True),
    # proper scores
    "brier": Metric(brier, True, OnRows(brier_rows)),
    "brier_reliability": Metric(brier_reliability, True),
    "brier_resolution": Metric(brier_resolution, False),
    # No interval: a mistake that was sure costs 13.8 nats, and rows that hold none say nothing of its rate.
    "log_loss": Metric(log_loss, True),
    "brier_skill": Metric(brier_skill, False, OnRows(skill_rows)),
    # ranking and selection
    "auroc": Metric(auroc, False, OnTies(auroc_of)),
    "auprc": Metric(auprc, False),
    "aurc": Metric(aurc, True, OnTies(aurc_of)),
    "e_aurc": Metric(e_aurc, True),
    "augrc": Metric(augrc, True, OnTies(augrc_of)),
    "risk_at_coverage": Metric(risk_at_coverage, True),
    "coverage_at_risk": Metric(coverage_at_risk, False),
    "decision_accuracy": Metric(decision_accuracy, False),
}
# Those with an interval whose coverage is measured, by `tests/bench/coverage.py`.
WITH_INTERVAL = ("ece", *(name for name, metric in METRICS.items() if metric.prepare))


def get_metric(name: str) -> Metric:
    """The metric of that name.

    Raises:
        UnknownName: no such metric; lists those there are.

    >>> get_metric("brier").lower_is_better
    True
    """
    return known("metric", name, METRICS)
