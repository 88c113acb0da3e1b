"""Escalation: a threshold chosen on validation rows, and what it saves on the test split."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from routecal.calib import escalation
from routecal.calib.errors import GradeUnknown, PriceUnknown
from routecal.calib.escalation import Outcomes, Saving, ThresholdPoint
from routecal.calib.examples import WARN_BELOW
from routecal.calib.settings import EscalationTerms
from routecal.storage.artifact import Artifact, read_table
from routecal.storage.example_join import rows_of
from routecal.tasks.cache import step
from routecal.tasks.load_examples import policy_index

# Thresholds of a drawn curve, at most.
POINTS = 101
CALLS = "calls of the large model"


class Escalation(BaseModel, frozen=True):
    """What escalating doubtful queries costs and brings, method by method."""

    unit: str = Field(description="of every cost here")
    margin: float = Field(description="quality that counts as none lost, as a share of queries")
    n_chosen_on: int = Field(description="labelled rows that chose the thresholds; test rows never do")
    note: str = Field(default="", description="why costs are not money, or why nothing could be measured")
    methods: dict[str, Saving] = Field(default={}, description="by method: its threshold, measured on the test split")
    policies: dict[str, tuple[float, float]] = Field(
        default={},
        description="(cost, quality) on the test split of all-medium, all-large, router alone, perfect oracle",
    )
    curves: dict[str, list[ThresholdPoint]] = Field(
        default={}, description="by method, over thresholds, on the test split"
    )
    band: list[tuple[float, float]] = Field(default=[], description="interval of quality along the last curve")
    oracle: list[tuple[float, float]] = Field(default=[], description="(cost, quality): the best for every budget")


@step(
    "escalate",
    "escalate: what it saves on {examples.rows} examples",
    on=("tasks.load_examples", "storage.example_join", "calib.escalation", "calib.metrics"),
)
def escalate(
    predictions: Artifact, examples: Artifact, methods: Sequence[str], chosen_on: Sequence[str], terms: EscalationTerms
) -> Escalation:
    """Threshold, saving and curve of each of `methods`, the one in question last, with intervals as `score` has them.

    Thresholds come from the splits in `chosen_on`: those that the head in question was not trained on.
    Where costs are neither recorded nor given, calls of the large model are counted instead, and `note` says so.
    """
    table = read_table(examples)
    test, held_out = (np.isin(table["split"].to_pylist(), splits) for splits in (["test"], chosen_on))
    found = Escalation(unit=terms.price_unit, margin=terms.margin, n_chosen_on=int(held_out.sum()))
    try:
        outcomes, unit, note = _outcomes(table, terms)
    except GradeUnknown as error:
        return found.model_copy(update={"note": str(error)})
    policy = policy_index(table["router_policy"])
    level = 0.95 if table.num_rows >= WARN_BELOW else 0.99
    here, there = outcomes.where(test), outcomes.where(held_out)
    savings, curves = {}, {}
    band: tuple[NDArray[np.float64], ...] = ()
    for name, p in _confidences(predictions, table, methods).items():
        threshold = escalation.choose_threshold(
            there, policy[held_out], p[held_out], margin=terms.margin, confidence=terms.margin_confidence
        )
        at = (here, policy[test], p[test])
        savings[name] = escalation.saving_at(*at, threshold=threshold, margin=terms.margin, level=level)
        every = escalation.thresholds_of(policy[test], p[test])
        # Both ends included, evenly by rank.
        thresholds = every[np.linspace(0, len(every) - 1, min(POINTS, len(every))).round().astype(int)]
        drawn = escalation.curve(*at, thresholds=thresholds)
        curves[name] = [drawn.point(i) for i in range(len(thresholds))]
        band = escalation.quality_band(*at, thresholds=thresholds, level=level)
    return found.model_copy(
        update={
            "unit": unit,
            "note": note,
            "methods": savings,
            "policies": _policies(here, policy[test]),
            "curves": curves,
            "band": list(zip(*(ends.tolist() for ends in band), strict=True)),
            "oracle": _oracle(here),
        }
    )


def _outcomes(table: pa.Table, terms: EscalationTerms) -> tuple[Outcomes, str, str]:
    """(outcomes, unit, note): costs as given, else as recorded, else calls of the large model."""
    grades = (table["medium_grade"].to_pylist(), table["large_grade"].to_pylist())
    is_given = terms.medium_price is not None or terms.large_price is not None
    medium, large = (
        (terms.medium_price, terms.large_price)
        if is_given
        else (table[f"{model}_cost_usd"].to_pylist() for model in ("medium", "large"))
    )
    try:
        found = Outcomes.of(*grades, medium_cost=_number(medium), large_cost=_number(large))
        if found.large_cost.any():
            return found, terms.price_unit if is_given else "USD", ""
        note = "the large model costs nothing here"
    except PriceUnknown as error:
        note = str(error)
    return Outcomes.of(*grades, medium_cost=0.0, large_cost=1.0), CALLS, note


def _number(cost: object) -> NDArray[np.float64]:
    return np.asarray(cost, dtype=np.float64)  # None becomes NaN: unknown


def _confidences(predictions: Artifact, examples: pa.Table, methods: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """p (n,) of each method that was predicted, in the rows of `examples`."""
    table = read_table(predictions, columns=["query_id", "method", "p"])
    found = {name: table.filter(pa.compute.field("method") == name) for name in methods}
    return {name: rows_of(rows, examples["query_id"])["p"].to_numpy() for name, rows in found.items() if rows.num_rows}


def _policies(outcomes: Outcomes, policy: NDArray[np.int64]) -> dict[str, tuple[float, float]]:
    mix, best = escalation.random_mix(outcomes).line, escalation.oracle_line(outcomes)
    alone = escalation.curve(outcomes, policy, np.zeros(len(policy)), thresholds=[0.0]).line
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
