"""Escalation: what sending doubtful queries to the large model costs and brings, and the threshold to do it at.

Costs and qualities have bootstrap intervals; the quality lost against all-large has Tango's score interval for paired
shares. A threshold whose risk is bounded in finite samples, whatever the distribution, is not here.
"""

from routecal.calib.escalation.area import area_difference, area_of_counts, area_over_random
from routecal.calib.escalation.outcomes import Outcomes
from routecal.calib.escalation.paired import paired_difference_of_shares, score_statistic
from routecal.calib.escalation.saving import Saving, choose_threshold, quality_band, saving_at
from routecal.calib.escalation.tradeoff import (
    EVERYTHING,
    CostQuality,
    Curve,
    ThresholdPoint,
    curve,
    oracle_line,
    random_mix,
    served_by_large,
    thresholds_of,
)

__all__ = [
    "EVERYTHING",
    "CostQuality",
    "Curve",
    "Outcomes",
    "Saving",
    "ThresholdPoint",
    "area_difference",
    "area_of_counts",
    "area_over_random",
    "choose_threshold",
    "curve",
    "oracle_line",
    "paired_difference_of_shares",
    "quality_band",
    "random_mix",
    "saving_at",
    "score_statistic",
    "served_by_large",
    "thresholds_of",
]
