"""How often answers would have been right under three rules, from what was served and graded."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from routecal.calib.errors import CalibError
from routecal.calib.feedback.off_policy import Estimator, value_of_rule
from routecal.calib.metrics import Estimate

HEAD, ALL_MEDIUM, ALL_LARGE = "by the head", "all to the medium model", "all to the large model"


@dataclass(frozen=True)
class RuleValue:
    """What a rule was worth.

    Attributes:
        rule: in words.
        right: share of answers that are right under it, with a 95% interval; None where the log cannot tell.
        reason: why it cannot, in a sentence; empty where it can.
    """

    rule: str
    right: Estimate | None
    reason: str = ""


def rule_values(
    large: ArrayLike, propensity: ArrayLike, right: ArrayLike, escalate: ArrayLike, said: ArrayLike | None
) -> tuple[RuleValue, ...]:
    """The three, doubly robust where the head tells how often each model is right, else self-normalised.

    Which of the served answers were graded must not depend on whether they were right.

    Args:
        large: (n,) whether the large model served.
        propensity: (n,) probability of what was served.
        right: (n,) whether the served answer was right, in [0, 1].
        escalate: (n,) whether the head asked for the large model.
        said: (n, 2) P(medium right), P(large right) as the head told them when it decided; None where it tells none.

    >>> rng = np.random.default_rng(0)
    >>> asked, drawn = rng.random(4000) < 0.3, rng.random(4000) < 0.1
    >>> large = np.where(drawn, ~asked, asked)
    >>> right = np.where(large, 0.9, 0.6) > rng.random(4000)
    >>> [round(v.right.value, 2) for v in rule_values(large, np.where(drawn, 0.1, 0.9), right, asked, None)]
    [0.69, 0.61, 0.9]
    """
    rules = {
        HEAD: np.asarray(escalate, float),
        ALL_MEDIUM: np.zeros(np.size(large)),
        ALL_LARGE: np.ones(np.size(large)),
    }
    found = []
    for name, rule in rules.items():
        try:
            estimator: Estimator = "snips" if said is None else "dr"
            value = value_of_rule(large, propensity, right, rule, predicted=said, estimator=estimator)
            found.append(RuleValue(name, value))
        except CalibError as error:
            found.append(RuleValue(name, None, str(error)))
    return tuple(found)
