"""What the joint outcome head is held to, on the decisions of a benchmark that has run."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from routecal.calib.comparison import mean_over, minus, over_seeds
from routecal.calib.metrics import Estimate
from routecal.calib.trial.decision_scores import DELTA, MARGINS
from routecal.calib.trial.decisions import BOOSTING, CONFIDENCE, JOINT, MEDIUM_WRONG
from routecal.tasks.benchmark.cell_scores import Scored
from routecal.tasks.benchmark.decision_results import DecisionsScored
from routecal.tasks.benchmark.decision_tables import rule_difference, rule_standings
from routecal.tasks.benchmark.question_counts import seed_of
from routecal.tasks.benchmark.results import is_better

# Shares of as many cells may differ in their last bit.
_ALIKE = 1e-9
# Saving asked for at each margin, and on how many sets.
AIMS = {"1 point": (0.20, 2), "2 points": (0.20, 3)}


class Bar(NamedTuple):
    """One claim.

    Attributes:
        claim, asked, found: in words.
        met: None: reported, not held to.
    """

    claim: str
    asked: str
    found: str
    met: bool | None


def bars(scored: Sequence[DecisionsScored], calibrated: Sequence[Scored] = ()) -> list[Bar]:
    """What was asked of the joint outcome head and what was found: at the first number of labels, savings at the most.

    Args:
        scored: every set and router, at one number of labels or several.
        calibrated: confidences of the same cells, at the first of these numbers; their boosting is the strongest
            baseline of the confidence, which reads what the default head reads.
    """
    own = [one for one in scored if one.asked == scored[0].asked]
    sets = {name: [one for one in own if one.name == name] for name in dict.fromkeys(one.name for one in own)}
    found = [_area(own, sets, reference) for reference in (CONFIDENCE, MEDIUM_WRONG)]
    found += [_rank(own), _never_worse(own, CONFIDENCE), _in_band_as_often(own, JOINT, ("medium_right", "large_right"))]
    if overconfident := [one for one in own if one.kind == "overconfident"]:
        found += [_band_of_boosting(overconfident), _never_worse(overconfident, BOOSTING)]
        if baseline := _beside_baseline(overconfident, calibrated):
            found.append(baseline)
    most = max(one.asked for one in scored)
    taught = {name: [one for one in scored if one.asked == most and one.name == name] for name in sets}
    return found + [_saved(taught, margin) for margin in MARGINS] + [_broken(own, margin) for margin in MARGINS]


def _area(own: Sequence[DecisionsScored], sets: dict[str, list[DecisionsScored]], reference: str) -> Bar:
    pooled = rule_difference(own, JOINT, reference, "area")
    below = [
        name for name, these in sets.items() if is_better(rule_difference(these, JOINT, reference, "area"), lower=True)
    ]
    return Bar(
        claim=f"Area over random, joint outcome minus {reference}",
        asked="pooled significantly above 0; on no set significantly below",
        found=f"{_signed(pooled)}; below on {len(below)} of {len(sets)}{_list(below)}",
        met=is_better(pooled, lower=False) and not below,
    )


def _rank(own: Sequence[DecisionsScored]) -> Bar:
    ranks = rule_standings(own)
    place = 1 + [one.method for one in ranks].index(JOINT)
    mine = ranks[place - 1]
    tie = f"; the first is {ranks[0].method}{', tied with it' if mine.is_first else ''}" if place > 1 else ""
    return Bar(
        claim="Mean rank by area over sets and routers",
        asked="first, or tied with the first by the paired interval",
        found=f"{mine.mean_rank:.2f}, place {place} of {len(ranks)}{tie}",
        met=mine.is_first,
    )


def _never_worse(own: Sequence[DecisionsScored], reference: str) -> Bar:
    found = {f"{one.name}, {one.kind}": rule_difference([one], JOINT, reference, "Brier, confidence") for one in own}
    worse = [name for name, estimate in found.items() if is_better(estimate, lower=False)]
    pooled = rule_difference(own, JOINT, reference, "Brier, confidence")
    routers = {one.kind for one in own}
    return Bar(
        claim=f"Brier of the derived confidence minus that of {reference}, "
        f"{'all routers' if len(routers) > 1 else f'{routers.pop()} router'}",
        asked="never significantly above 0",
        found=f"{_signed(pooled, digits=4)}; worse on {len(worse)} of {len(found)}{_list(worse)}",
        met=not worse,
    )


def _in_band_as_often(own: Sequence[DecisionsScored], rule: str, stated: Sequence[str]) -> Bar:
    shares = {what: _in_band(own, rule, what) for what in stated}
    today = _in_band(own, CONFIDENCE, "confidence")
    return Bar(
        claim="ECE inside its noise band: P(medium right), P(large right)",
        asked=f"as often as the confidence of today, {today:.0%}",
        found=", ".join(f"{what} {share:.0%}" for what, share in shares.items()),
        met=min(shares.values()) >= today - _ALIKE,
    )


def _band_of_boosting(own: Sequence[DecisionsScored]) -> Bar:
    mine, theirs = (_in_band(own, rule, "confidence") for rule in (JOINT, BOOSTING))
    return Bar(
        claim="ECE of the derived confidence inside its noise band, overconfident router",
        asked=f"as often as boosting on the same columns, {theirs:.0%}",
        found=f"{mine:.0%}; the confidence of today {_in_band(own, CONFIDENCE, 'confidence'):.0%}",
        met=mine >= theirs - _ALIKE,
    )


def _beside_baseline(own: Sequence[DecisionsScored], calibrated: Sequence[Scored]) -> Bar | None:
    theirs = {(one.name, one.kind): one.methods["boosting"] for one in calibrated if "boosting" in one.methods}
    pairs = [(one, theirs[one.name, one.kind]) for one in own if (one.name, one.kind) in theirs]
    if not pairs:
        return None
    found = [minus(one.rules[JOINT].resampled["Brier, confidence"], base.resampled["brier"]) for one, base in pairs]
    estimates = {one.name: over_seeds(d, seed=seed_of(one.name)) for (one, _), d in zip(pairs, found, strict=True)}
    worse = [name for name, estimate in estimates.items() if is_better(estimate, lower=False)]
    pooled = mean_over(found, seeds=[seed_of(one.name) for one, _ in pairs])
    band = float(np.mean([np.mean([seed.in_band for seed in base.seeds]) for _, base in pairs]))
    return Bar(
        claim="Brier of the derived confidence minus that of the baseline boosting, overconfident router",
        asked="never significantly above 0",
        found=f"{_signed(pooled, digits=4)}; worse on {len(worse)} of {len(pairs)}{_list(worse)}; in band {band:.0%}",
        met=not worse,
    )


def _saved(sets: dict[str, list[DecisionsScored]], margin: str) -> Bar:
    share, asked = AIMS[margin]
    found = {name: _mean(these, JOINT, lambda seed: seed.promised[margin].saving) for name, these in sets.items()}
    there = sum(saving >= share for saving in found.values())
    return Bar(
        claim=f"Saving with at most {margin} lost at {1 - DELTA:.0%}, joint outcome, {_labels(sets)} labels",
        asked=f"aim: {share:.0%} on {asked} sets",
        found=f"{there} of {len(sets)}: {', '.join(f'{name} {saving:.1%}' for name, saving in found.items())}",
        met=None,
    )


def _broken(own: Sequence[DecisionsScored], margin: str) -> Bar:
    shares = {rule: _mean(own, rule, lambda seed: float(seed.promised[margin].broken)) for rule in (JOINT, CONFIDENCE)}
    return Bar(
        claim=f"Test rows that lose more than {margin}, share of (set, router, division, seed)",
        asked=f"shown: {DELTA:.0%} and what few test rows add, whose loss is itself a guess",
        found=", ".join(f"{rule} {share:.0%}" for rule, share in shares.items()),
        met=None,
    )


def _labels(sets: dict[str, list[DecisionsScored]]) -> str:
    counts = [round(one.n_labelled) for these in sets.values() for one in these]
    return f"{min(counts):,} to {max(counts):,}" if min(counts) < max(counts) else f"{counts[0]:,}"


def _in_band(own: Sequence[DecisionsScored], rule: str, what: str) -> float:
    return _mean(own, rule, lambda seed: float(seed.stated[what].in_band))


def _mean(own: Sequence[DecisionsScored], rule: str, value: Callable[..., float]) -> float:
    """Over sets and routers, which count alike, of the mean over divisions and seeds."""
    return float(np.mean([np.mean([value(seed) for seed in one.rules[rule].seeds]) for one in own]))


def _signed(estimate: Estimate | None, *, digits: int = 3) -> str:
    return "undefined" if estimate is None else f"{estimate:+.{digits}f}"


def _list(names: Sequence[str]) -> str:
    return f" ({'; '.join(names)})" if names else ""
