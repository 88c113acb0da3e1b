"""What a decision rule is worth on test rows: area of the cost-quality curve, and what is saved with a promise kept."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import BaseModel, Field

from routecal.calib.checks import FloatArray
from routecal.calib.comparison.resampled import Resampled
from routecal.calib.escalation.area import area_of_counts
from routecal.calib.escalation.outcomes import Outcomes
from routecal.calib.metrics import brier, ece, noise_floor
from routecal.calib.metrics.replicates import OnCounts
from routecal.calib.promise.walks import loss_at_most
from routecal.calib.trial.decision_rows import Answer, Decided

# Margins of quality that a promise is asked for, by the name in the tables, and how surely it is to be kept.
MARGINS = {"1 point": 0.01, "2 points": 0.02}
DELTA = 0.05
# What a rule may say in probabilities, by the field of `Decided`.
STATED = ("confidence", "medium_right", "large_right")
PROMISED = ("saving", "quality")


class Promised(BaseModel, frozen=True):
    """A threshold promised on labelled rows, on the test rows of one seed."""

    margin: float = Field(description="quality that may be lost against all-large, as a share of queries")
    kept: float = Field(description="share of the test queries that the medium model serves")
    saving: float = Field(description="1 - cost / cost of all-large")
    quality: float = Field(description="quality minus that of all-large")
    broken: bool = Field(description="more than the margin is lost on the test rows")
    hindsight: float = Field(description="largest saving at any threshold that keeps the margin on the test rows")


class Stated(BaseModel, frozen=True):
    """Calibration of one probability that a rule states; as of a confidence in `calib.comparison.scores`."""

    ece: float
    noise_mean: float
    noise_high: float
    in_band: bool
    brier: float


class SeedDecision(BaseModel, frozen=True):
    """One rule under one division and seed, on its test rows as they are."""

    area: float | None
    promised: dict[str, Promised] = Field(description="by the name of the margin")
    stated: dict[str, Stated] = Field(description="by what is stated; what the rule does not state is left out")


@dataclass(frozen=True)
class DecisionScore:
    """One rule on one set: by division and seed, and by metric on resampled queries."""

    seeds: tuple[SeedDecision, ...]
    resampled: dict[str, Resampled]


@dataclass(frozen=True)
class Sample:
    """The rows of one division and seed that a rule is judged on.

    Attributes:
        labelled_difference: (n,) medium right minus large right of the labelled rows.
        test: outcomes and costs of the test rows.
        correct: (t,) {0, 1} whether the router's policy was the true one on each test row.
    """

    labelled_difference: FloatArray
    test: Outcomes
    correct: FloatArray


def oracle(sample: Sample) -> Answer:
    """The need of one who knows all outcomes."""
    return Answer(Decided(-sample.labelled_difference), Decided(sample.test.large_right - sample.test.medium_right))


def score_rule(
    answers: Sequence[Answer], samples: Sequence[Sample], counts: Sequence[Sequence[FloatArray]], *, divisions: int
) -> DecisionScore:
    """Scores of one rule over all divisions and seeds.

    Args:
        answers, samples: (divisions · seeds) each, division by division.
        counts: for each of them chunks (m, t) of resampling counts of its test rows, see `calib.comparison.resample`.
        divisions: how many there are.
    """
    alone, values, drawn = [], list[dict[str, float]](), list[dict[str, FloatArray]]()
    for answer, sample, chunks in zip(answers, samples, counts, strict=True):
        seed, measured = _measure(answer, sample)
        alone.append(seed)
        n = len(sample.test)
        values.append({name: float(f(np.ones((1, n)))[0]) for name, f in measured.items()})
        drawn.append({name: np.concatenate([f(chunk) for chunk in chunks]) for name, f in measured.items()})
    resampled = {
        name: Resampled(np.array([v[name] for v in values]), np.stack([d[name] for d in drawn]), divisions)
        for name in values[0]
    }
    return DecisionScore(tuple(alone), resampled)


def _measure(answer: Answer, sample: Sample) -> tuple[SeedDecision, dict[str, OnCounts]]:
    """One seed by itself, and its metrics as functions of resampling counts."""
    test, said = sample.test, answer.test
    gain = test.large_right - test.medium_right
    # Over the share of queries, so that one number means the same on sets with recorded costs and on others.
    alike = replace(test, medium_cost=np.zeros(len(test)), large_cost=np.ones(len(test)))
    measured: dict[str, OnCounts] = {"area": area_of_counts(said.need, alike)}
    promised = {}
    for name, margin in MARGINS.items():
        walk = loss_at_most(answer.labelled.need, sample.labelled_difference, level=margin, delta=DELTA)
        kept = said.need <= walk.threshold
        cost = np.where(kept, test.medium_cost, test.large_cost)
        measured[f"saving, {name}"] = _saving(cost, test.large_cost)
        measured[f"quality, {name}"] = _mean(np.where(kept, -gain, 0.0))
        quality = float(np.where(kept, -gain, 0.0).mean())
        promised[name] = Promised(
            margin=margin,
            kept=float(kept.mean()),
            saving=1 - float(cost.sum() / test.large_cost.sum()),
            quality=quality,
            broken=-quality > margin + 1e-12,
            hindsight=_hindsight(said.need, test, margin),
        )
    stated, truth = {}, (sample.correct, test.medium_right, test.large_right)
    for what, y in zip(STATED, truth, strict=True):
        p: FloatArray | None = getattr(said, what)
        if p is None:
            measured[f"Brier, {what}"] = lambda counts: np.full(len(counts), np.nan)
            continue
        floor, error = noise_floor(p), ece(p, y)
        stated[what] = Stated(
            ece=error,
            noise_mean=floor.mean,
            noise_high=floor.high,
            in_band=error <= floor.high,
            brier=brier(p, y),
        )
        measured[f"Brier, {what}"] = _mean((p - y) ** 2)
    area = float(measured["area"](np.ones((1, len(gain))))[0])
    return SeedDecision(area=area if np.isfinite(area) else None, promised=promised, stated=stated), measured


def _mean(rows: FloatArray) -> OnCounts:
    return lambda counts: np.asarray(counts @ rows / counts.sum(axis=1))


def _saving(cost: FloatArray, all_large: FloatArray) -> OnCounts:
    return lambda counts: np.asarray(1 - (counts @ cost) / (counts @ all_large))


def _hindsight(need: FloatArray, test: Outcomes, margin: float) -> float:
    """The largest saving at a threshold that loses at most `margin` on these very rows: no promise, an upper end."""
    able = np.isfinite(need)
    at, group = np.unique(need[able], return_inverse=True)
    lost = np.bincount(group, (test.large_right - test.medium_right)[able], minlength=len(at)).cumsum() / len(need)
    saved = np.bincount(group, (test.large_cost - test.medium_cost)[able], minlength=len(at)).cumsum()
    allowed = saved[lost <= margin + 1e-12]
    return float(max(allowed.max(initial=0.0), 0.0) / test.large_cost.sum())
