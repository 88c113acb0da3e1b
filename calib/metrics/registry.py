"""Every metric by name: how to compute it, which way is better, and how to compute it on bootstrap replicates."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from calib.errors import UnknownName
from calib.metrics.binned import ece, ece_debiased, ece_debiased_of, ece_equal_mass, ece_of, equal_mass_sums
from calib.metrics.murphy import brier_reliability, brier_resolution, reliability_of, resolution_of
from calib.metrics.proper import brier, brier_rows, brier_skill, log_loss, log_loss_rows, skill_of
from calib.metrics.ranking import auprc, auprc_of, auroc, auroc_of
from calib.metrics.replicates import OnBins, OnGrid, OnRows, OnTies, Prepare
from calib.metrics.selective import (
    augrc,
    augrc_of,
    aurc,
    aurc_of,
    coverage_at_risk,
    coverage_at_risk_of,
    decision_accuracy,
    decision_rows,
    e_aurc,
    e_aurc_of,
    risk_at_coverage,
    risk_at_coverage_of,
)
from calib.metrics.significance import ks, ks_of, kuiper, kuiper_of
from calib.metrics.smooth import smooth_ece


class Metric(NamedTuple):
    """A metric and its direction.

    Attributes:
        fn: (p, y) to a number, None where it is undefined.
        lower_is_better: its direction.
        prepare: the same on bootstrap replicates, see `calib.metrics.replicates`.
    """

    fn: Callable[..., float | None]
    lower_is_better: bool
    prepare: Prepare


METRICS: dict[str, Metric] = {
    # calibration
    "ece": Metric(ece, True, OnBins(ece_of)),
    "ece_l2": Metric(partial(ece, norm=2), True, OnBins(partial(ece_of, norm=2))),
    "ece_max": Metric(partial(ece, norm="max"), True, OnBins(partial(ece_of, norm="max"))),
    "ece_equal_mass": Metric(ece_equal_mass, True, OnTies(lambda g: ece_of(equal_mass_sums(g, n_bins=10)))),
    "ece_debiased": Metric(ece_debiased, True, OnBins(ece_debiased_of)),
    "smooth_ece": Metric(smooth_ece, True, OnGrid()),
    "kuiper": Metric(kuiper, True, OnTies(kuiper_of)),
    "ks": Metric(ks, True, OnTies(ks_of)),
    # proper scores
    "brier": Metric(brier, True, OnRows(brier_rows)),
    "brier_reliability": Metric(brier_reliability, True, OnBins(reliability_of)),
    "brier_resolution": Metric(brier_resolution, False, OnBins(resolution_of)),
    "log_loss": Metric(log_loss, True, OnRows(log_loss_rows)),
    "brier_skill": Metric(brier_skill, False, OnRows(brier_rows, finish=skill_of)),
    # ranking and selection
    "auroc": Metric(auroc, False, OnTies(auroc_of)),
    "auprc": Metric(auprc, False, OnTies(auprc_of)),
    "aurc": Metric(aurc, True, OnTies(aurc_of)),
    "e_aurc": Metric(e_aurc, True, OnTies(e_aurc_of)),
    "augrc": Metric(augrc, True, OnTies(augrc_of)),
    "risk_at_coverage": Metric(risk_at_coverage, True, OnTies(risk_at_coverage_of)),
    "coverage_at_risk": Metric(coverage_at_risk, False, OnTies(coverage_at_risk_of)),
    "decision_accuracy": Metric(decision_accuracy, False, OnRows(decision_rows)),
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
