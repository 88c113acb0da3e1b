"""Tables of the decision rules: each set and router by itself, and all of them together."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, Field

from routecal.calib.comparison import Rank, Resampled, mean_over, minus, over_seeds, rank
from routecal.calib.metrics import Estimate
from routecal.calib.trial.decision_scores import MARGINS, SeedDecision
from routecal.calib.trial.decisions import BOOSTING, CONFIDENCE, JOINT, MEDIUM_WRONG
from routecal.tasks.benchmark.decision_results import ORACLE, DecisionsScored
from routecal.tasks.benchmark.question_counts import seed_of
from routecal.tasks.benchmark.results import OVER_ALL, flat, pairs_of

# Rules that the differences of the tables are taken to.
REFERENCES = (JOINT, CONFIDENCE, MEDIUM_WRONG, BOOSTING)


class PromisedRow(BaseModel, frozen=True):
    """What a rule saves with a promise."""

    saving: Estimate | None = Field(description="1 - cost / cost of all-large, on test rows")
    quality: Estimate | None = Field(description="quality minus that of all-large, on test rows")
    broken: float = Field(description="share of (division, seed) whose test rows lose more than the margin")
    hindsight: float = Field(description="mean largest saving at a threshold that keeps the margin on the test rows")


class StatedRow(BaseModel, frozen=True):
    """How calibrated a probability is that a rule states."""

    brier: Estimate | None
    ece: float
    in_band: float = Field(description="share of (division, seed) whose ECE a calibrated model would reach")


class RuleRow(BaseModel, frozen=True):
    """One rule in a table; means over divisions and seeds, intervals over test queries as well."""

    rule: str
    area: Estimate | None = Field(description="of the cost-quality curve over random: 0 random, 1 oracle")
    area_behind: Estimate | None = Field(description="area minus that of the joint outcome head, paired")
    promised: dict[str, PromisedRow] = Field(description="by the margin of quality that may be lost")
    stated: dict[str, StatedRow] = Field(description="by what is stated: confidence, medium_right, large_right")


class DecisionTable(BaseModel, frozen=True):
    """All rules on one set under one router, or over all of them, at one number of labels."""

    name: str | None  # None: over all sets
    router: str | None
    asked: int = Field(description="labels asked for")
    n_labelled: float = Field(description="labelled rows, mean over divisions and seeds")
    n: float = Field(description="test rows, mean over divisions")
    priced: bool = Field(description="costs are those recorded; else one price for each model")
    lines: list[RuleRow]

    def line(self, rule: str) -> RuleRow:
        """The line of that rule."""
        return next(line for line in self.lines if line.rule == rule)


def decision_tables(scored: Sequence[DecisionsScored]) -> list[DecisionTable]:
    """By number of labels as it was asked for: over all sets and routers, then each of them."""
    found = []
    for asked in dict.fromkeys(one.asked for one in scored):
        own = [one for one in scored if one.asked == asked]
        found += [_table(own, name=None, router=None), *(_table([o], name=o.name, router=o.kind) for o in own)]
    return found


def rule_standings(scored: Sequence[DecisionsScored]) -> list[Rank]:
    """Rules over all sets and routers by area, the best mean rank first; without the oracle."""
    rules = [rule for rule in scored[0].rules if rule != ORACLE]
    found = {rule: [one.rules[rule].resampled["area"] for one in scored] for rule in rules}
    return rank(found, seeds=[seed_of(one.name) for one in scored], lower_is_better=False)


def rule_difference(scored: Sequence[DecisionsScored], rule: str, reference: str, metric: str) -> Estimate | None:
    """Mean over sets and routers of a metric of `rule` minus that of `reference`, paired."""
    pairs = [minus(one.rules[rule].resampled[metric], one.rules[reference].resampled[metric]) for one in scored]
    return mean_over(pairs, seeds=[seed_of(one.name) for one in scored])


def decision_scores(scored: Sequence[DecisionsScored]) -> list[dict[str, object]]:
    """Rows of kind `benchmark_scores`."""
    rows: list[dict[str, object]] = []
    for one in scored:
        for rule, score in one.rules.items():
            for metric, found in score.resampled.items():
                known = {"metric": metric, **_place(one), "method": rule}
                rows.append(known | OVER_ALL | flat(over_seeds(found, seed=seed_of(one.name))))
                values = [None if np.isnan(value) else float(value) for value in found.value]
                rows += [known | when | {"value": v} for when, v in zip(pairs_of(found), values, strict=True)]
    return rows


def decision_differences(
    scored: Sequence[DecisionsScored], references: Sequence[str] = REFERENCES
) -> list[dict[str, object]]:
    """Rows of kind `benchmark_differences`: every rule minus each reference, over divisions and seeds."""
    return [
        {"metric": metric, "method": rule, "reference": reference, **_place(one)}
        | OVER_ALL
        | flat(rule_difference([one], rule, reference, metric))
        for one in scored
        for reference in references
        for rule, score in one.rules.items()
        for metric in score.resampled
    ]


def _place(one: DecisionsScored) -> dict[str, object]:
    return {"set": one.name, "target": one.name, "router": one.kind, "labels": round(one.n_labelled)}


def _table(scored: Sequence[DecisionsScored], *, name: str | None, router: str | None) -> DecisionTable:
    return DecisionTable(
        name=name,
        router=router,
        asked=scored[0].asked,
        n_labelled=float(np.mean([one.n_labelled for one in scored])),
        n=float(np.mean([one.n for one in scored])),
        priced=all(one.priced for one in scored),
        lines=[_line(scored, rule) for rule in scored[0].rules],
    )


def _line(scored: Sequence[DecisionsScored], rule: str) -> RuleRow:
    seeds = [seed for one in scored for seed in one.rules[rule].seeds]

    def estimate(metric: str) -> Estimate | None:
        found: list[Resampled] = [one.rules[rule].resampled[metric] for one in scored]
        return mean_over(found, seeds=[seed_of(one.name) for one in scored])

    return RuleRow(
        rule=rule,
        area=estimate("area"),
        area_behind=None if rule == JOINT else rule_difference(scored, rule, JOINT, "area"),
        promised={
            margin: PromisedRow(
                saving=estimate(f"saving, {margin}"),
                quality=estimate(f"quality, {margin}"),
                broken=_mean([seed.promised[margin].broken for seed in seeds]),
                hindsight=_mean([seed.promised[margin].hindsight for seed in seeds]),
            )
            for margin in MARGINS
        },
        stated={what: _stated(seeds, what, estimate(f"Brier, {what}")) for what in seeds[0].stated},
    )


def _stated(seeds: Sequence[SeedDecision], what: str, brier: Estimate | None) -> StatedRow:
    return StatedRow(
        brier=brier,
        ece=_mean([seed.stated[what].ece for seed in seeds]),
        in_band=_mean([seed.stated[what].in_band for seed in seeds]),
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
