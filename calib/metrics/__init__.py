"""Metrics over (p, y): confidence in [0, 1] and whether the router's policy was right."""

from routecal.calib.metrics.bin_counts import ReliabilityBins, reliability_bins
from routecal.calib.metrics.binned import ece, ece_debiased, ece_equal_mass
from routecal.calib.metrics.bootstrap import Estimate, intervals, paired_difference
from routecal.calib.metrics.murphy import BrierParts, brier_parts, brier_reliability, brier_resolution
from routecal.calib.metrics.noise import NoiseFloor, noise_floor
from routecal.calib.metrics.proper import brier, brier_skill, log_loss
from routecal.calib.metrics.ranking import auprc, auroc
from routecal.calib.metrics.registry import METRICS, Metric, get_metric
from routecal.calib.metrics.selective import (
    augrc,
    aurc,
    coverage_at_risk,
    decision_accuracy,
    e_aurc,
    risk_at_coverage,
)
from routecal.calib.metrics.significance import CalibrationTest, ks, ks_test, kuiper, kuiper_test, spiegelhalter_test
from routecal.calib.metrics.slices import by_slice, deciles
from routecal.calib.metrics.smooth import smooth_ece
from routecal.calib.metrics.summary import Summary, summarise

__all__ = [
    "METRICS",
    "BrierParts",
    "CalibrationTest",
    "Estimate",
    "Metric",
    "NoiseFloor",
    "ReliabilityBins",
    "Summary",
    "augrc",
    "auprc",
    "aurc",
    "auroc",
    "brier",
    "brier_parts",
    "brier_reliability",
    "brier_resolution",
    "brier_skill",
    "by_slice",
    "coverage_at_risk",
    "deciles",
    "decision_accuracy",
    "e_aurc",
    "ece",
    "ece_debiased",
    "ece_equal_mass",
    "get_metric",
    "intervals",
    "ks",
    "ks_test",
    "kuiper",
    "kuiper_test",
    "log_loss",
    "noise_floor",
    "paired_difference",
    "reliability_bins",
    "risk_at_coverage",
    "smooth_ece",
    "spiegelhalter_test",
    "summarise",
]
