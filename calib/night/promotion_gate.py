"""Whether a new head may take the place of the one that serves: paired evidence on rows that neither has learned from.

A head that works gives way to one that does better on the same rows and is surely no worse; where there is a reason to
renew it, no worse is enough. That it be better beyond chance is not asked: simulated (LOG.md, 2026-11-29), heads then
improve so slowly that users are served worse. What is unclear is refused, for the champion works.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from routecal.calib.checks import FloatArray, checked
from routecal.calib.errors import LengthMismatch
from routecal.calib.metrics import Estimate, intervals, noise_floor, paired_difference
from routecal.calib.night.head_health import MIN_WINDOW
from routecal.calib.settings import PromotionMargins

# Redrawn labels for the interval of ECE; those of Brier are computed.
REPLICATES = 2000


class GateRules(PromotionMargins):
    """What a candidate must show."""

    model_config = ConfigDict(frozen=True)

    level: float = Field(default=0.95, ge=0.5, lt=1, description="coverage of every interval")
    min_rows: int = Field(default=MIN_WINDOW, ge=30, description="rows of the holdout below which nothing is decided")
    min_slice: int = Field(default=200, ge=30, description="rows of a slice from which on it has a veto")


class Condition(BaseModel, frozen=True):
    """One thing that was asked, and what was found."""

    name: str = Field(default="", description="rows, brier, better, ece, slice or served")
    is_met: bool
    reason: str = Field(description="a sentence with the numbers")


class Served(NamedTuple):
    """What users get of a head: its decisions at its own threshold.

    Attributes:
        escalated: share of the queries that it escalates.
        wrong: share of the queries that it keeps and should not have: by confidence those on which the router is wrong,
            by the gain those that need the large model.
    """

    escalated: float
    wrong: float


def served(escalated: ArrayLike, wrong: ArrayLike) -> Served:
    """The decisions of a head on n rows.

    Args:
        escalated: (n,) whether it sends the query to the large model.
        wrong: (n,) whether it is wrong to keep the query.

    >>> served([True, False, False, False], [True, True, False, False])
    Served(escalated=0.25, wrong=0.25)
    """
    sent, bad = np.asarray(escalated, bool), np.asarray(wrong, bool)
    if sent.shape != bad.shape:
        raise LengthMismatch("escalated", sent.size, "wrong", bad.size)
    return Served(float(sent.mean()), float((~sent & bad).mean()))


class GateVerdict(BaseModel, frozen=True):
    """What the gate says, and why."""

    n: int = Field(description="rows of the holdout")
    conditions: tuple[Condition, ...]
    brier_difference: Estimate | None = Field(default=None, description="candidate minus champion; None without one")
    candidate: dict[str, Estimate] = Field(default={}, description="its ece and brier")
    champion: dict[str, Estimate] = Field(default={}, description="the same of the champion")
    facts: tuple[str, ...] = Field(default=(), description="what a promotion costs, in sentences; no conditions")

    @property
    def is_promoted(self) -> bool:
        """Every condition is met."""
        return all(c.is_met for c in self.conditions)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, in sentences: of a refusal what was not met, of a promotion all that was asked and what it costs."""
        own = tuple(c.reason for c in self.conditions if c.is_met == self.is_promoted)
        return (*own, *self.facts) if self.is_promoted else own


def decide(
    candidate: ArrayLike,
    champion: ArrayLike | None,
    y: ArrayLike,
    *,
    slices: Mapping[str, ArrayLike] | None = None,
    renewal: Sequence[str] = (),
    decisions: tuple[Served, Served] | None = None,
    quality: Condition | None = None,
    rules: GateRules | None = None,
    seed: int = 0,
) -> GateVerdict:
    """Whether the candidate may be promoted.

    Asked of it, on the same rows:

    1. There are `min_rows` of them.
    2. Brier is not worse: the paired interval of candidate minus champion ends below `margin`.
    3. Brier is lower than the champion's on these rows; or there is a reason to renew the champion.
    4. ECE: its interval ends below `target_ece`, or it is not above the champion's, or inside its noise band.
    5. On no slice of `min_slice` rows is Brier significantly worse, with Bonferroni over the slices.
    6. The quality served is not significantly lower, unless that was asked for (`calib.night.served_quality`).

    Without a champion the constant at the holdout's own base rate stands in its place for 2; it is as good as any
    constant can be, so a head that passes knows something; 3, 5 and 6 are not asked.

    Args:
        candidate: (n,) confidence in [0, 1].
        champion: (n,) of the head that serves; None if there is none yet.
        y: (n,) {0, 1}.
        slices: by name, (n,) which rows belong to it.
        renewal: why the champion should go even for a head that is only no worse, in sentences; see
            `calib.night.action.renewal_reasons`.
        decisions: what users get of the candidate and of the champion; a promotion that escalates more says so.
        quality: the sixth condition, as it was found; None: not asked.
        rules: thresholds.
        seed: of the redrawn labels.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.
    """
    rules = rules or GateRules()
    p, y = checked(candidate, y)
    if len(y) < rules.min_rows:
        few = f"the holdout has {len(y)} rows, fewer than the {rules.min_rows} that a decision takes"
        return GateVerdict(n=len(y), conditions=(Condition(name="rows", is_met=False, reason=few),))
    other = np.full(len(y), y.mean()) if champion is None else checked(champion, y)[0]
    name = "the best constant" if champion is None else "the champion"
    own, theirs = (_measured(q, y, rules, seed) for q in (p, other))
    brier = _difference(p, other, y, rules.level)
    conditions = [_brier(brier, name, rules), _ece(p, own["ece"], None if champion is None else theirs["ece"], rules)]
    if champion is not None:
        conditions.insert(1, _better(brier, renewal))
        conditions += _slices(p, other, y, slices or {}, rules)
        conditions += [] if quality is None else [quality]
    return GateVerdict(
        n=len(y),
        conditions=tuple(conditions),
        brier_difference=brier,
        candidate=own,
        champion={} if champion is None else theirs,
        facts=() if decisions is None else _cost(*decisions),
    )


def _measured(p: FloatArray, y: FloatArray, rules: GateRules, seed: int) -> dict[str, Estimate]:
    found = intervals(p, y, metrics=("ece", "brier"), level=rules.level, n_replicates=REPLICATES, seed=seed)
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def _difference(p: FloatArray, other: FloatArray, y: FloatArray, level: float) -> Estimate:
    found = paired_difference("brier", p, other, y, level=level)
    assert found is not None  # Brier is defined on any rows
    return found


def _brier(difference: Estimate, name: str, rules: GateRules) -> Condition:
    is_met = difference.high < rules.brier_margin
    verb = "is not worse" if is_met else "may be worse"
    end = f"its upper end {'lies below' if is_met else 'reaches'} the margin {rules.brier_margin:g}"
    return Condition(name="brier", is_met=is_met, reason=f"Brier {verb} than that of {name}: {difference:+.4f}, {end}")


def _better(difference: Estimate, renewal: Sequence[str]) -> Condition:
    if difference.value < 0:
        return Condition(name="better", is_met=True, reason="Brier is lower than the champion's on these rows")
    if renewal:
        why = "; ".join(renewal)
        return Condition(name="better", is_met=True, reason=f"no worse is enough, for the champion is renewed: {why}")
    reason = f"Brier is not lower than the champion's on these rows ({difference:+.4f}), and nothing calls for renewal"
    return Condition(name="better", is_met=False, reason=reason)


def _cost(candidate: Served, champion: Served) -> tuple[str, ...]:
    """What more the candidate escalates, if it does, in a sentence; shares as they are printed."""
    if round(100 * candidate.escalated) <= round(100 * champion.escalated):
        return ()
    return (
        f"it costs more: {candidate.escalated:.0%} of the held-out queries are escalated, {champion.escalated:.0%} by "
        f"the champion; {candidate.wrong:.1%} are kept and wrong, {champion.wrong:.1%} with the champion",
    )


def _ece(p: FloatArray, own: Estimate, theirs: Estimate | None, rules: GateRules) -> Condition:
    floor = noise_floor(p, level=rules.level)
    passes = {
        f"its upper end lies below the target {rules.target_ece:g}": own.high < rules.target_ece,
        f"inside the noise band of {len(p)} rows, up to {floor.high:.3f}": own.value <= floor.high,
    }
    if theirs is not None:
        passes[f"not above the champion's {theirs.value:.3f}"] = own.value <= theirs.value
    if why := next((reason for reason, is_met in passes.items() if is_met), None):
        return Condition(name="ece", is_met=True, reason=f"ECE is {own:.3f}: {why}")
    above = f"above the target {rules.target_ece:g} and outside its noise band (up to {floor.high:.3f})"
    champion = "" if theirs is None else f"; the champion's is {theirs:.3f}"
    return Condition(name="ece", is_met=False, reason=f"ECE is {own:.3f}, {above}{champion}")


def _slices(
    p: FloatArray, other: FloatArray, y: FloatArray, slices: Mapping[str, ArrayLike], rules: GateRules
) -> list[Condition]:
    """A condition for each slice that is large enough to have a veto."""
    rows: dict[str, NDArray[np.bool_]] = {name: np.asarray(mask, dtype=bool) for name, mask in slices.items()}
    for name, mask in rows.items():
        if mask.shape != y.shape:
            raise LengthMismatch(f"slice {name}", mask.size, "y", len(y))
    large = {name: mask for name, mask in rows.items() if mask.sum() >= rules.min_slice}
    conditions = []
    for name, mask in large.items():
        level = 1 - (1 - rules.level) / len(large)
        difference = _difference(p[mask], other[mask], y[mask], level)
        is_met = difference.low <= 0
        verb = "is not significantly worse" if is_met else "is significantly worse"
        reason = f"Brier on {name} (n = {mask.sum()}) {verb} than the champion's: {difference:+.4f}"
        conditions.append(Condition(name="slice", is_met=is_met, reason=reason))
    return conditions
