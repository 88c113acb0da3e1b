"""Other thresholds of the rule that decides, and its own on parts of the queries: tables of an evaluation."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from routecal.calib.decision_errors import OutOfReach
from routecal.calib.escalation import Outcomes, Saving, saving_at, threshold_at_saving
from routecal.calib.need import NOTHING_KEPT
from routecal.calib.promise.wording import level_in_words
from routecal.calib.settings import EscalationTerms
from routecal.tasks.escalation_result import OperatingPoint
from routecal.tasks.thresholds import Labelled, loss_threshold

LOST, SAVED = (0.005, 0.01, 0.02), (0.1, 0.2, 0.3)
# Smaller topics decide nothing: their intervals hold nearly any saving.
FEWEST = 20


def operating_points(
    chosen_on: NDArray[np.float64],
    at: NDArray[np.float64],
    rows: Labelled,
    here: Outcomes,
    terms: EscalationTerms,
    *,
    level: float,
) -> list[OperatingPoint]:
    """Thresholds chosen on labelled rows by what may be lost or what is to be saved, measured on test rows.

    What may be lost is promised with the probability asked; what is to be saved is aimed at.

    Args:
        chosen_on: (n,) need of the labelled rows.
        at: (m,) need of the test rows.
        rows: the labelled rows.
        here: outcomes of the test rows.
        terms: of which the probability is used.
        level: coverage of intervals.
    """
    found = []
    for lost in LOST:
        threshold = loss_threshold(chosen_on, rows, lost, terms.probability)
        had = threshold > NOTHING_KEPT
        saving = saving_at(here, at, threshold=threshold, margin=lost, level=level) if had else None
        asked = f"at most {level_in_words('loss', lost)} lost, with {100 * terms.probability:g} %"
        found.append(OperatingPoint(asked=asked, is_promised=True, saving=saving))
    for saved in SAVED:
        try:
            threshold = threshold_at_saving(chosen_on, rows.outcomes.medium_cost, rows.outcomes.large_cost, saved)
            saving = saving_at(here, at, threshold=threshold, level=level)
        except OutOfReach:
            saving = None
        found.append(OperatingPoint(asked=f"{saved:.0%} saved", is_promised=False, saving=saving))
    return found


def by_topic(
    topics: Sequence[str | None],
    here: Outcomes,
    need: NDArray[np.float64],
    threshold: float,
    *,
    margin: float,
    level: float,
) -> dict[str, Saving]:
    """What the threshold saves on each topic of `FEWEST` test rows or more, most saved first."""
    found = {}
    for topic, n in Counter(topics).items():
        if topic is not None and n >= FEWEST:
            rows = np.array([one == topic for one in topics])
            if here.large_cost[rows].any():
                found[topic] = saving_at(here.where(rows), need[rows], threshold=threshold, margin=margin, level=level)
    return dict(sorted(found.items(), key=lambda one: -one[1].saving.value))


def topic_verdict(saving: Saving) -> str:
    """Whether a topic pays: what its intervals show.

    >>> outcomes = Outcomes(np.ones(20), np.ones(20), np.ones(20), np.full(20, 9.0))
    >>> topic_verdict(saving_at(outcomes, np.zeros(20), threshold=1.0, margin=0.2))
    'pays'
    >>> topic_verdict(saving_at(outcomes, np.zeros(20), threshold=1.0, margin=0.01))
    'not shown'
    """
    if saving.quality_difference.high < -saving.margin:
        return "loses"
    return "pays" if saving.saving.low > 0 and saving.non_inferior else "not shown"
