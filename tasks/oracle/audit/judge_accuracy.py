"""How good the judge is, by the rows of an audit that people filled in."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from routecal.calib.metrics.bin_counts import wilson
from routecal.calib.metrics.bootstrap import Estimate
from routecal.calib.policy import Grade
from routecal.tasks.oracle.audit.audit_errors import (
    AuditIdTwice,
    AuditIdUnknown,
    HumanGradeUnknown,
    KindUngraded,
    TooFewGraded,
)
from routecal.tasks.oracle.audit.audit_sample import ROLES, AuditRow, Graded, Stratum, graded_answers

MIN_GRADED = 10
# Rows that a kind of answers borrows from all others.
PRIOR_ROWS = 2

_GRADES = tuple(Grade)
_LETTERS = {grade.value[0]: grade for grade in Grade}

Matrix = tuple[tuple[float, ...], ...]


class AuditResult(BaseModel, frozen=True):
    """What people found of the judge's grades.

    Both matrices have a row per grade of the judge and a column per grade of people, in the order of `Grade`.
    """

    n_graded: int = Field(description="rows that people graded")
    n_blank: int = Field(description="rows they left blank")
    n_answers: int = Field(description="answers in the labels that the audit speaks for")
    accuracy: Estimate = Field(description="share of those answers that the judge grades as people do, in [0, 1]")
    kappa: Estimate | None = Field(description="Cohen's kappa over those answers; None if all grades are the same")
    by_role: dict[str, Estimate] = Field(description="accuracy on the answers of each model")
    confusion: Matrix = Field(description="estimated number of those answers by both grades")
    counted: Matrix = Field(description="graded rows of the sample by both grades")


def score_judge(filled: Sequence[AuditRow], labels: pa.Table, *, level: float = 0.95) -> AuditResult:
    """Accuracy, Cohen's kappa and confusion of the judge against people, with intervals.

    The sample holds more of the rare grades than the labels do, so each row stands for as many answers as there are of
    its kind (model x judge's grade) per row that people graded of it:

        confusion[j, h] = sum over kinds s with judge's grade j of  N_s * n_{s,h} / n_s
        accuracy = trace / sum;   kappa = (accuracy - e) / (1 - e),   e = sum_g row_g * column_g / sum^2

    Cohen 1960. Intervals: see `_accuracy`; those of kappa are the same ends, with e as estimated. Rows left blank are
    taken to be blank by chance: whoever leaves out the hard ones flatters the judge.

    Args:
        filled: rows of `draw`, `human_grade` filled in or blank.
        labels: the table the audit was drawn from.
        level: coverage of the intervals.

    Raises:
        AuditIdUnknown, AuditIdTwice, HumanGradeUnknown: a row is not what `draw` gave, or its grade is none.
        TooFewGraded, KindUngraded: what is filled in cannot speak for the labels.
    """
    answers = list(graded_answers(labels))
    sizes = Counter(answer.stratum for answer in answers)
    human = _human_grades(filled, answers)
    if len(human) < MIN_GRADED:
        raise TooFewGraded(len(human), MIN_GRADED)
    strata = sorted(sizes)
    counts = np.zeros((len(strata), len(_GRADES)), dtype=np.int64)  # (s, h)
    for stratum, grade in human:
        counts[strata.index(stratum), _GRADES.index(grade)] += 1
    graded = counts.sum(axis=1)
    for stratum, n in zip(strata, graded, strict=True):
        if not n:
            raise KindUngraded(stratum[0], stratum[1].value, sizes[stratum])
    population = np.array([sizes[stratum] for stratum in strata], dtype=np.float64)
    judge = np.array([[s[1] == grade for grade in _GRADES] for s in strata], dtype=np.float64)  # (s, j)
    agreed = (judge * counts).sum(axis=1)
    confusion = np.einsum("sj,sh->jh", judge, population[:, None] * counts / graded[:, None])
    accuracy = _accuracy(agreed, graded, population, level=level)
    kappa = None
    if not np.isnan(cohen_kappa(confusion)):
        chance = chance_of(confusion)
        kappa = Estimate(**{end: (value - chance) / (1 - chance) for end, value in accuracy})
    of_role = {role: np.array([stratum[0] == role for stratum in strata]) for role in ROLES}
    return AuditResult(
        n_graded=len(human),
        n_blank=len(filled) - len(human),
        n_answers=len(answers),
        accuracy=accuracy,
        kappa=kappa,
        by_role={
            role: _accuracy(agreed[own], graded[own], population[own], level=level)
            for role, own in of_role.items()
            if own.any()
        },
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        counted=tuple(tuple(row) for row in (judge.T @ counts).tolist()),
    )


def _accuracy(
    agreed: NDArray[np.float64], graded: NDArray[np.int64], population: NDArray[np.float64], *, level: float
) -> Estimate:
    """Share of the answers of several kinds that are graded as people do, from a sample of each kind.

        value = sum_s w_s agreed_s / graded_s,  w_s = N_s / N
        Wilson's interval of value in n rows,  n = value' (1 - value') / sum_s w_s² a_s (1 - a_s) / graded_s

    n is how many rows drawn at large would tell as much (Korn & Graubard 1998). a_s adds PRIOR_ROWS rows to a
    kind, that agree as often as all rows and half a row that does not, and value' = sum_s w_s a_s: ten rows of a kind
    that all agree are no proof, for the judge could be wrong on one in four (0.75^10 = 0.06). Measured coverage:
    `tests/bench/coverage.py`.
    """
    weight = population / population.sum()
    overall = (agreed.sum() + 0.5) / (graded.sum() + 1)
    rate = (agreed + PRIOR_ROWS * overall) / (graded + PRIOR_ROWS)
    value, shrunk = float(weight @ (agreed / graded)), float(weight @ rate)
    n = shrunk * (1 - shrunk) / (weight**2 @ (rate * (1 - rate) / graded))
    low, high = wilson(np.array(value * n), np.array(n), level=level)
    return Estimate(value=value, low=float(low), high=float(high))


def accuracy_of(confusion: NDArray[np.float64]) -> NDArray[np.float64]:
    """(…, k, k) -> (…) share on the diagonal."""
    return np.asarray(np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=(-2, -1)))


def chance_of(confusion: NDArray[np.float64]) -> NDArray[np.float64]:
    """(…, k, k) -> (…) share on the diagonal if both sides had graded by chance, each as often as it did."""
    both = confusion.sum(axis=-1) * confusion.sum(axis=-2)
    return np.asarray(both.sum(axis=-1) / confusion.sum(axis=(-2, -1)) ** 2)


def cohen_kappa(confusion: NDArray[np.float64]) -> NDArray[np.float64]:
    """(…, k, k) -> (…) agreement beyond chance, at most 1; NaN where both sides gave one and the same grade only."""
    chance = chance_of(confusion)
    room = np.where(chance < 1 - 1e-12, 1 - chance, np.nan)
    return np.asarray((accuracy_of(confusion) - chance) / room)


def _human_grades(filled: Sequence[AuditRow], answers: Sequence[Graded]) -> list[tuple[Stratum, Grade]]:
    """(kind, people's grade) of every row that is filled in."""
    known = {answer.audit_id: answer.stratum for answer in answers}
    if unknown := [row.audit_id for row in filled if row.audit_id not in known]:
        raise AuditIdUnknown(unknown[0], len(unknown))
    seen: set[str] = set()
    for row in filled:
        if row.audit_id in seen:
            raise AuditIdTwice(row.audit_id)
        seen.add(row.audit_id)
    read = [(row, _grade(row.human_grade)) for row in filled if row.human_grade.strip()]
    if wrong := [row for row, grade in read if grade is None]:
        raise HumanGradeUnknown(wrong[0].audit_id, wrong[0].human_grade, len(wrong))
    return [(known[row.audit_id], grade) for row, grade in read if grade is not None]


def _grade(text: str) -> Grade | None:
    """C, I, N or the whole word in any case, its parts joined by an underscore, a space or a hyphen."""
    word = "_".join(text.upper().replace("-", " ").replace("_", " ").split())
    return _LETTERS.get(word) or next((grade for grade in Grade if grade.value == word), None)
