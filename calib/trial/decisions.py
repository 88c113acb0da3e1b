"""The decision rules that the benchmark compares, from no information to the joint outcome head.

A rule is `rule(rows, seed=...) -> Answer`. To add one, write the function and a row of RULES.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from routecal.calib.baselines.router_outputs import statistic
from routecal.calib.checks import FloatArray
from routecal.calib.errors import known
from routecal.calib.examples import Examples
from routecal.calib.learn.cross_fit import Deal
from routecal.calib.learn.recipe import Recipe, train
from routecal.calib.need import need_by_confidence
from routecal.calib.outcome.utility_rl import UtilityConfig
from routecal.calib.trial.decision_rows import Answer, Decided, DecisionRows
from routecal.calib.trial.learned_rules import (
    boosting,
    joint_outcome,
    medium_wrong,
    neighbours,
    ridge,
    two_heads,
    win_rate,
)

JOINT, CONFIDENCE, MEDIUM_WRONG, BOOSTING = "joint outcome", "confidence", "1 − P(medium right)", "boosting"


def confidence(rows: DecisionRows, *, seed: int = 0) -> Answer:
    """As routecal 0.2 decides: the default head doubts the router's policy, and a Complex_Query is never kept."""
    found = train({"default": Recipe()}, rows.labelled, seed=seed)["default"]
    deal = Deal.of(rows.labelled, seed=seed)
    # Without folds the heads have seen their train rows, and say of them what they remember.
    own = (
        deal.held_out(found.head)[0]
        if deal.folds
        else found.head.raw_confidence(rows.labelled.hidden, rows.labelled.logits)
    )
    return Answer(_doubt(found.recalibrator(own), rows.labelled), _doubt(found(rows.test), rows.test))


def entropy(rows: DecisionRows, *, seed: int = 0) -> Answer:
    """The entropy of the router's probabilities; a Complex_Query is never kept."""
    found = (_doubt(statistic(one, "entropy"), one).need for one in (rows.labelled, rows.test))
    return Answer(*map(Decided, found))


def random(rows: DecisionRows, *, seed: int = 0) -> Answer:
    """A random number for every query."""
    rng = np.random.default_rng(seed)
    return Answer(*(Decided(rng.random(len(one))) for one in (rows.labelled, rows.test)))


def all_medium(rows: DecisionRows, *, seed: int = 0) -> Answer:
    """Every query needs the large model alike."""
    return Answer(*(Decided(np.zeros(len(one))) for one in (rows.labelled, rows.test)))


def all_large(rows: DecisionRows, *, seed: int = 0) -> Answer:
    """No query is kept."""
    return Answer(*(Decided(np.full(len(one), np.inf)) for one in (rows.labelled, rows.test)))


# In the order of the tables. The oracle, which knows the outcomes of test rows, is no rule: it is scored beside them.
RULES: Mapping[str, Callable[..., Answer]] = {
    JOINT: joint_outcome,
    "ridge of the gain": ridge,
    "two heads": two_heads,
    BOOSTING: boosting,
    "neighbours": neighbours,
    "win rate": win_rate,
    MEDIUM_WRONG: medium_wrong,
    CONFIDENCE: confidence,
    "entropy": entropy,
    "random": random,
    "all medium": all_medium,
    "all large": all_large,
}

# What RL on the utility of sampled decisions adds to the regressions of the outcome head. As many passes by the proper
# score alone, and by the expected gradient without samples, are its controls.
REGRESSION = "regression alone"
OUTCOME_VARIANTS: Mapping[str, Callable[..., Answer]] = {
    REGRESSION: joint_outcome,
    "proper score": partial(joint_outcome, decisions=UtilityConfig(reward="none")),
    "squared gain": partial(joint_outcome, decisions=UtilityConfig(reward="squared_gain")),
    "utility": partial(joint_outcome, decisions=UtilityConfig()),
    "utility × 10": partial(joint_outcome, decisions=UtilityConfig(weight=10.0)),
}


def decide(rows: DecisionRows, group: str = "rules", *, seed: int = 0) -> dict[str, Answer]:
    """What every rule of a group says; raises as `calib.learn.recipe.train`."""
    rules = known("group of rules", group, {"rules": RULES, "outcome variants": OUTCOME_VARIANTS})
    # one thread: matrices this small lose more to the second one than they gain, and its sums are in another order
    with threadpool_limits(1):
        return {name: rule(rows, seed=seed) for name, rule in rules.items()}


def _doubt(p: FloatArray, rows: Examples) -> Decided:
    """Need by a confidence: the less, the more it is kept."""
    return Decided(need_by_confidence(rows.policy, p), confidence=p)
