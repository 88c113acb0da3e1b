"""Escalation: what sending the queries that need it to the large model costs and brings, at any threshold of need.

Costs have intervals of skewed means; the quality lost against all-large has Tango's score interval for paired shares.
Thresholds that come with a promise are `calib.promise`'s.
"""

from routecal.calib.escalation.area import area_difference, area_of_counts, area_over_random
from routecal.calib.escalation.expected_cost import fit_extra_cost
from routecal.calib.escalation.operating_points import (
    threshold_at_budget,
    threshold_at_call_rate,
    threshold_at_saving,
    threshold_at_value,
)
from routecal.calib.escalation.outcomes import Outcomes
from routecal.calib.escalation.paired import paired_difference_of_shares, score_statistic
from routecal.calib.escalation.regret import CellRegret, regret_by_cell
from routecal.calib.escalation.saving import Saving, quality_band, saving_at
from routecal.calib.escalation.tradeoff import (
    CostQuality,
    Curve,
    ThresholdPoint,
    curve,
    oracle_line,
    random_mix,
)

__all__ = [
    "CellRegret",
    "CostQuality",
    "Curve",
    "Outcomes",
    "Saving",
    "ThresholdPoint",
    "area_difference",
    "area_of_counts",
    "area_over_random",
    "curve",
    "fit_extra_cost",
    "oracle_line",
    "paired_difference_of_shares",
    "quality_band",
    "random_mix",
    "regret_by_cell",
    "saving_at",
    "score_statistic",
    "threshold_at_budget",
    "threshold_at_call_rate",
    "threshold_at_saving",
    "threshold_at_value",
]
