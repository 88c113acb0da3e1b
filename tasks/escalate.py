"""Escalation: thresholds chosen on labelled rows, and what they save on the test split."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from routecal.calib import escalation
from routecal.calib.decision_errors import GradeUnknown, OutOfReach
from routecal.calib.escalation import Outcomes, saving_at
from routecal.calib.examples import WARN_BELOW
from routecal.calib.extra_cost import ExtraCost
from routecal.calib.need import ALL_KEPT, goes_to_large, kept, need_by_confidence, need_by_gain, thresholds_of
from routecal.calib.policy import PolicyMap
from routecal.calib.settings import MARGIN, EscalationTerms
from routecal.plain_text import plain
from routecal.storage.artifact import Artifact, read_table
from routecal.storage.example_join import rows_of
from routecal.tasks.cache import step
from routecal.tasks.escalation_result import CONFIDENCE, JOINT, Escalation
from routecal.tasks.guarantees import basis_of
from routecal.tasks.load_examples import policy_index
from routecal.tasks.operating_table import by_topic, operating_points
from routecal.tasks.priced_outcomes import extra_cost_of, priced_outcomes
from routecal.tasks.thresholds import Labelled, promise_in_slices, promise_of, threshold_for

# Thresholds of a drawn curve, at most.
POINTS = 101
# Characters of a topic that tell it from the others.
LONGEST_TOPIC = 200


@step(
    "escalate",
    "escalate: what it saves on {examples.rows} examples",
    on=(
        *(
            "tasks.load_examples",
            "tasks.priced_outcomes",
            "tasks.operating_table",
            "tasks.thresholds",
            "tasks.guarantees",
        ),
        *("storage.example_join", "calib.escalation", "calib.promise", "calib.metrics"),
    ),
)
def escalate(
    predictions: Artifact,
    examples: Artifact,
    methods: Sequence[str],
    chosen_on: Sequence[str],
    terms: EscalationTerms,
    outcome_predictions: Artifact | None = None,
) -> Escalation:
    """Threshold, saving and curve of every rule, the one that decides last, with intervals as `score` has them.

    Thresholds come from the splits in `chosen_on`: those that the head in question was not trained on.
    Where costs are neither recorded nor given, calls of the large model are counted instead, and `note` says so.

    Args:
        predictions: confidences of `methods`.
        examples: the same queries.
        methods: whose confidences are compared; the last is the head in question, whose rule is called "confidence".
        chosen_on: splits of the labelled rows.
        terms: prices, and what decides the threshold.
        outcome_predictions: of the outcome head; the rule "joint outcome" then decides, unless the terms say
            otherwise, and else confidence does.
    """
    table = read_table(examples)
    test, labelled = (np.isin(table["split"].to_pylist(), splits) for splits in (["test"], chosen_on))
    margin = terms.at_most if terms.risk == "loss" else MARGIN
    found = Escalation(
        unit=terms.price_unit, margin=margin, n_chosen_on=int(labelled.sum()), policy_map=terms.whole_map
    )
    try:
        priced = priced_outcomes(table, terms)
    except GradeUnknown as error:
        return found.model_copy(update={"note": str(error)})
    true_policy = policy_index(table["true_policy"])[labelled]
    needs_large = goes_to_large(true_policy, terms.whole_map)
    rows = Labelled(priced.outcomes.where(labelled), true_policy, needs_large, priced.unit, priced.note)
    extra_cost = extra_cost_of(table, priced, labelled)
    needs = _needs(predictions, table, methods, outcome_predictions, extra_cost, terms.whole_map)
    if terms.decides_by == "confidence":
        needs[CONFIDENCE] = needs.pop(CONFIDENCE)
    chosen = {name: need[labelled] for name, need in needs.items()}
    rule, thresholds = list(needs)[-1], dict[str, float]()
    for name, need in chosen.items():
        try:
            thresholds[name] = threshold_for(name, need, rows, terms)
        except OutOfReach as error:
            if name == rule:
                return found.model_copy(update={"unit": priced.unit, "note": str(error)})
    here, at = priced.outcomes.where(test), {name: need[test] for name, need in needs.items()}
    level = 0.95 if table.num_rows >= WARN_BELOW else 0.99
    return found.model_copy(
        update={
            "unit": priced.unit,
            "note": priced.note,
            "remarks": _remarks(priced.outcomes),
            "promise": promise_of(chosen[rule], rows, terms),
            "basis": basis_of(chosen[rule], rows.true_policy, rows.outcomes, terms, thresholds[rule]),
            "slices": promise_in_slices(chosen[rule], rows, terms, _slices(table, labelled), thresholds[rule]),
            "extra_cost": extra_cost,
            "oracle": _oracle(here),
            "points": operating_points(chosen[rule], at[rule], rows, here, terms, level=level),
            **_measured(
                table.filter(pa.array(test)), here, at, thresholds, terms.whole_map, margin=margin, level=level
            ),
        }
    )


def _measured(
    test: pa.Table,
    here: Outcomes,
    needs: dict[str, NDArray[np.float64]],
    thresholds: dict[str, float],
    policy_map: PolicyMap,
    *,
    margin: float,
    level: float,
) -> dict[str, object]:
    """Fields of an `Escalation`: every rule on the test rows, and the one that decides on parts of them."""
    policy, (rule, threshold) = policy_index(test["router_policy"]), list(thresholds.items())[-1]
    to_large = goes_to_large(policy, policy_map)
    drawn = {name: _drawn(here, need, to_large, level) for name, need in needs.items()}
    areas = {name: escalation.area_over_random(need, here, level=level) for name, need in needs.items()}
    ahead = None
    if {JOINT, CONFIDENCE} <= needs.keys():
        ahead = escalation.area_difference(needs[JOINT], needs[CONFIDENCE], here, level=level)
    large = ~kept(needs[rule], threshold)
    grades = (test["medium_grade"].to_pylist(), test["large_grade"].to_pylist())
    topics = by_topic(_topics(test), here, needs[rule], threshold, margin=margin, level=level)
    return {
        "methods": {
            name: saving_at(here, needs[name], threshold=t, margin=margin, level=level, to_large=to_large)
            for name, t in thresholds.items()
        },
        "policies": _policies(here, need_by_confidence(policy, np.ones(len(policy)), policy_map)),
        "curves": {name: points for name, (points, _) in drawn.items()},
        "bands": {name: band for name, (_, band) in drawn.items()},
        "areas": areas,
        "area_difference": ahead,
        "regret": escalation.regret_by_cell(here, *grades, large),
        "topics": topics,
    }


def _needs(
    predictions: Artifact,
    table: pa.Table,
    methods: Sequence[str],
    outcomes: Artifact | None,
    extra_cost: ExtraCost,
    policy_map: PolicyMap,
) -> dict[str, NDArray[np.float64]]:
    """By rule, the need (n,) of every row of `table`; the rule that decides last."""
    policy = policy_index(table["router_policy"])
    found = {
        CONFIDENCE if name == methods[-1] else name: need_by_confidence(policy, p, policy_map)
        for name, p in _confidences(predictions, table, methods).items()
    }
    if outcomes is not None:
        gain = rows_of(read_table(outcomes, columns=["query_id", "gain"]), table["query_id"])["gain"].to_numpy()
        found[JOINT] = need_by_gain(gain, extra_cost(table["n_tokens"].to_numpy()))
    return found


def _confidences(predictions: Artifact, examples: pa.Table, methods: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """p (n,) of each method that was predicted, in the rows of `examples`."""
    table = read_table(predictions, columns=["query_id", "method", "p"])
    found = {name: table.filter(pa.compute.field("method") == name) for name in methods}
    return {name: rows_of(rows, examples["query_id"])["p"].to_numpy() for name, rows in found.items() if rows.num_rows}


def _drawn(
    here: Outcomes, need: NDArray[np.float64], to_large: NDArray[np.bool_], level: float
) -> tuple[list[escalation.ThresholdPoint], list[tuple[float, float]]]:
    """A curve of at most `POINTS` thresholds, both ends included, evenly by rank; and its band."""
    every = thresholds_of(need)
    thresholds = every[np.linspace(0, len(every) - 1, min(POINTS, len(every))).round().astype(int)]
    line = escalation.curve(here, need, thresholds=thresholds, to_large=to_large)
    low, high = escalation.quality_band(here, need, thresholds=thresholds, level=level)
    return [line.point(i) for i in range(len(thresholds))], list(zip(low.tolist(), high.tolist(), strict=True))


def _slices(table: pa.Table, rows: NDArray[np.bool_]) -> dict[str, list[str | None]]:
    part = table.select(["router_policy", "topic"]).filter(pa.array(rows))
    return {"router's policy": part["router_policy"].to_pylist(), "topic": _topics(part)}


def _topics(table: pa.Table) -> list[str | None]:
    """The topic of every row, as it can be shown: some files have whole texts for topics."""
    return [topic and plain(topic, at_most=LONGEST_TOPIC) for topic in table["topic"].to_pylist()]


def _remarks(outcomes: Outcomes) -> list[str]:
    better = int((outcomes.large_right > outcomes.medium_right).sum())
    if not better:
        return [
            f"On none of {len(outcomes)} queries is the large model right where the medium model is not: nothing here "
            "speaks for paying for it. Check which model is which, or add queries on which they differ."
        ]
    return []


def _policies(outcomes: Outcomes, sure: NDArray[np.float64]) -> dict[str, tuple[float, float]]:
    """(cost, quality) to compare with; `sure` (n,) is the need where no policy is doubted."""
    mix, best = escalation.random_mix(outcomes).line, escalation.oracle_line(outcomes)
    alone = escalation.curve(outcomes, sure, thresholds=[ALL_KEPT]).line
    lines: dict[str, tuple[escalation.CostQuality, int]] = {
        "all-medium": (mix, 0),
        "all-large": (mix, 1),
        "router alone": (alone, 0),
        "perfect oracle": (best, -1),
    }
    return {name: (float(line.cost[i]), float(line.quality[i])) for name, (line, i) in lines.items()}


def _oracle(outcomes: Outcomes) -> list[tuple[float, float]]:
    best = escalation.oracle_line(outcomes)
    ranks = np.unique(np.linspace(0, len(best.cost) - 1, POINTS).round().astype(int))
    return list(zip(best.cost[ranks].tolist(), best.quality[ranks].tolist(), strict=True))
