"""Worlds in which the truth is known, and what the product's intervals say of draws from them."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from routecal.calib.comparison import over_seeds, paired_counts, resample
from routecal.calib.escalation import Outcomes, area_over_random, quality_band, saving_at
from routecal.calib.metrics import METRICS, Estimate, intervals, paired_difference, reliability_bins
from routecal.calib.metrics.bin_counts import bin_index
from routecal.calib.metrics.registry import WITH_INTERVAL
from routecal.calib.plots.reliability_diagram import FEW
from routecal.calib.policy import Grade
from routecal.tasks.oracle.audit.audit_sample import AuditRow, Graded, allocate, graded_answers
from routecal.tasks.oracle.audit.judge_accuracy import accuracy_of, cohen_kappa, score_judge
from tests.tasks.oracle.audited import label, tables

N_TRUTH = 1_000_000
# Of a standard error, or of a test of redrawn labels: fewer than the product's 1,000, which makes ends noisier.
N_REPLICATES = 200
N_SEEDS = 5
Rng = np.random.Generator
Array = np.ndarray
LEVELS = np.array([0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0])
SHAPES: dict[str, Callable[[Rng, int], Array]] = {
    "uniform": lambda rng, n: rng.random(n),
    "skewed": lambda rng, n: rng.beta(12, 1.5, n),
    "weak": lambda rng, n: rng.beta(40, 20, n),
    "overconfident": lambda rng, n: rng.beta(2, 0.6, n),
    "discrete": lambda rng, n: rng.choice(LEVELS, n, p=[0.05, 0.05, 0.1, 0.1, 0.15, 0.2, 0.2, 0.1, 0.05]),
}


class Seen(NamedTuple):
    """One interval of one draw, and the truth."""

    name: str
    found: Estimate | None
    truth: float


def right(shape: str, p: Array, *, is_calibrated: bool) -> Array:
    """P(right) of confidence p (n,): p itself, half of its logit, or seven points less."""
    if is_calibrated:
        return p
    if shape == "overconfident":
        return expit(0.5 * logit(np.clip(p, 1e-6, 1 - 1e-6)))
    return np.maximum(p - 0.07, 0)


def metrics(shape: str, is_calibrated: bool, n: int, draws: int) -> Iterator[Seen]:
    """Every metric with an interval, the paired difference to a rival, and the bars of a reliability diagram."""
    rng = np.random.default_rng(99)
    p = SHAPES[shape](rng, N_TRUTH)
    q = right(shape, p, is_calibrated=is_calibrated)
    y = (rng.random(N_TRUTH) < q).astype(float)
    truth = {name: METRICS[name].fn(p, y) for name in WITH_INTERVAL}
    bins = bin_index(p, n_bins=10)
    truth["ece"] = np.abs(np.bincount(bins, q - p)).sum() / N_TRUTH
    accuracy = np.bincount(bins, q, minlength=10) / np.maximum(np.bincount(bins, minlength=10), 1)
    ahead = float(np.mean((p - q) ** 2 - (rival(p) - q) ** 2))
    rng = np.random.default_rng(n)
    for seed in range(draws):
        p = SHAPES[shape](rng, n)
        y = (rng.random(n) < right(shape, p, is_calibrated=is_calibrated)).astype(float)
        found = intervals(p, y, metrics=WITH_INTERVAL, n_replicates=N_REPLICATES, seed=seed)
        yield from (Seen(name, one, truth[name]) for name, one in found.items())
        yield Seen("difference of Brier", paired_difference("brier", p, rival(p), y), ahead)
        drawn = reliability_bins(p, y)
        thick = drawn.n >= FEW  # thinner ones are drawn hollow
        for b, value, low, high in zip(
            *(x[thick] for x in (drawn.index, drawn.accuracy, drawn.low, drawn.high)), strict=True
        ):
            yield Seen("bar of a bin", Estimate(value=value, low=low, high=high), accuracy[b])


def rival(p: Array) -> Array:
    """Another method's confidence: timid, and without the last digit."""
    return np.round(0.5 + 0.8 * (p - 0.5), 1)


def seeds(shape: str, is_calibrated: bool, n: int, draws: int) -> Iterator[Seen]:
    """Means over training seeds, whose heads differ by a shift of the logit, as a benchmark prints them."""

    def heads(p: Array, rng: Rng, k: int) -> list[Array]:
        return [expit(logit(np.clip(p, 1e-4, 1 - 1e-4)) + shift) for shift in rng.normal(0, 0.25, k)]

    rng = np.random.default_rng(98)
    p = SHAPES[shape](rng, 50_000)
    q = right(shape, p, is_calibrated=is_calibrated)
    # Of rates, not of drawn labels: those of 50,000 rows once moved it by a quarter of a standard error at 300.
    truth = float(np.mean([np.mean((one - q) ** 2 + q * (1 - q)) for one in heads(p, rng, 400)]))
    rng = np.random.default_rng(n)
    for seed in range(draws):
        p = SHAPES[shape](rng, n)
        y = rng.random(n) < right(shape, p, is_calibrated=is_calibrated)
        counts = list(paired_counts([(np.arange(n), seed)]))  # as many as ours: quantiles of few lie too near
        found = resample(heads(p, rng, N_SEEDS), y, counts, metrics=("brier",))["brier"]
        yield Seen("Brier over 5 seeds", over_seeds(found, seed=seed), truth)


# Prices: equal, by length, or of a large model that is hardly dearer, whose hard queries cost most.
PRICES: dict[str, Callable[[Rng, Array], tuple[Array, Array]]] = {
    "flat": lambda rng, p: (np.ones(len(p)), np.full(len(p), 10.0)),
    "tokens": lambda rng, p: by_length(rng, p, 6, np.ones(len(p))),
    "near": lambda rng, p: by_length(rng, p, 1.5, 1.6 - p),
}


def by_length(rng: Rng, p: Array, factor: float, longer: Array) -> tuple[Array, Array]:
    """Costs (n,) of the medium and the large model."""
    length = rng.lognormal(0, 0.5, len(p)) * longer
    return length * rng.lognormal(0, 0.3, len(p)), factor * length * rng.lognormal(0, 0.3, len(p))


def savings(prices: str, kept: float, n: int, draws: int) -> Iterator[Seen]:
    """Saving, quality lost and quality above random, where the medium model keeps a share of the queries."""

    def world(rng: Rng, n: int) -> tuple[Outcomes, Array]:
        p = rng.beta(4, 2, n)
        medium, large = rng.random(n) < p, rng.random(n) < (2 + p) / 3
        return Outcomes(medium * 1.0, large * 1.0, *PRICES[prices](rng, p)), -p

    big = world(np.random.default_rng(97), N_TRUTH)
    at = float(np.quantile(big[1], kept))
    want, area = saving_at(*big, threshold=at), area_over_random(big[1], big[0])
    rng = np.random.default_rng(n)
    for _ in range(draws):
        drawn = world(rng, n)
        found = saving_at(*drawn, threshold=at)
        yield Seen("saving", found.saving, want.saving.value)
        yield Seen("quality difference", found.quality_difference, want.quality_difference.value)
        if want.above_random is not None:
            yield Seen("above random", found.above_random, want.above_random.value)
        if area is not None:
            yield Seen("area over random", area_over_random(drawn[1], drawn[0]), area.value)
        (low,), (high,) = quality_band(*drawn, thresholds=[at])
        yield Seen("quality band", Estimate(value=found.point.quality, low=low, high=high), want.point.quality)


GRADES = tuple(Grade)
# Shares of the judge's grades for each model, and how often it errs: the same everywhere, or most on rare grades.
OFTEN = {"medium": (0.6, 0.3, 0.1), "large": (0.85, 0.1, 0.05)}
ERRS = {"2%": (0.02, 0.02, 0.02), "5%": (0.05, 0.05, 0.05), "15%": (0.15, 0.15, 0.15), "rare": (0.01, 0.06, 0.2)}


def audits(errs: str, n: int, draws: int) -> Iterator[Seen]:
    """Accuracy and kappa of the judge from n answers graded by people, of 2,000 that hold few surprises."""
    grades = {role: np.repeat(GRADES, (1000 * np.array(often)).astype(int)) for role, often in OFTEN.items()}
    labels, _ = tables([label(i, *(Grade(grades[role][i]) for role in OFTEN)) for i in range(1000)])
    kinds: dict[tuple[str, Grade], list[Graded]] = {}
    for one in graded_answers(labels):
        kinds.setdefault(one.stratum, []).append(one)
    sizes = {kind: len(members) for kind, members in kinds.items()}
    confusion = np.zeros((3, 3))
    for (_, grade), size in sizes.items():
        confusion[GRADES.index(grade)] += size * said(errs, grade)
    truth = {"judge's accuracy": float(accuracy_of(confusion)), "judge's kappa": float(cohen_kappa(confusion))}
    rng, wanted = np.random.default_rng(n), allocate(sizes, n)
    for _ in range(draws):
        sheet = []
        for kind, size in wanted.items():
            people = rng.choice(3, size, p=said(errs, kind[1]))
            sheet += [row(one, GRADES[k]) for one, k in zip(kinds[kind], people, strict=False)]
        found = score_judge(sheet, labels)
        yield Seen("judge's accuracy", found.accuracy, truth["judge's accuracy"])
        yield Seen("judge's kappa", found.kappa, truth["judge's kappa"])


def said(errs: str, judge: Grade) -> Array:
    """What people say (3,) of an answer to which the judge gave that grade."""
    own = GRADES.index(judge)
    chances = np.full(3, ERRS[errs][own] / 2)
    chances[own] = 1 - ERRS[errs][own]
    return chances


def row(graded: Graded, human: Grade) -> AuditRow:
    """A line of the sheet, filled in."""
    blank = dict.fromkeys(AuditRow._fields, "")
    return AuditRow(**{**blank, "audit_id": graded.audit_id, "human_grade": human.value})
