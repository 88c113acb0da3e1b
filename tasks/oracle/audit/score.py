"""How good the judge is, by the rows of an audit that people filled in."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from calib.metrics.bootstrap import Estimate
from calib.policy import Grade
from tasks.oracle.audit.draw import ROLES, AuditRow, Graded, Stratum, graded_answers
from tasks.oracle.audit.errors import AuditIdTwice, AuditIdUnknown, HumanGradeUnknown, KindUngraded, TooFewGraded

MIN_GRADED = 10

_GRADES = tuple(Grade)
_LETTERS = {grade.value[0]: grade for grade in Grade}

Matrix = tuple[tuple[float, ...], ...]


class AuditResult(BaseModel):
    """What people found of the judge's grades.

    Both matrices have a row per grade of the judge and a column per grade of people, in the order of `Grade`.
    """

    model_config = ConfigDict(frozen=True)

    n_graded: int = Field(description="rows that people graded")
    n_blank: int = Field(description="rows they left blank")
    n_answers: int = Field(description="answers in the labels that the audit speaks for")
    accuracy: Estimate = Field(description="share of those answers that the judge grades as people do, in [0, 1]")
    kappa: Estimate | None = Field(description="Cohen's kappa over those answers; None if all grades are the same")
    by_role: dict[str, Estimate] = Field(description="accuracy on the answers of each model")
    confusion: Matrix = Field(description="estimated number of those answers by both grades")
    counted: Matrix = Field(description="graded rows of the sample by both grades")


def score(
    filled: Sequence[AuditRow], labels: pa.Table, *, level: float = 0.95, n_replicates: int = 2000, seed: int = 0
) -> AuditResult:
    """Accuracy, Cohen's kappa and confusion of the judge against people, with intervals.

    The sample holds more of the rare grades than the labels do, so each row stands for as many answers as there are of
    its kind (model x judge's grade) per row that people graded of it:

        confusion[j, h] = sum over kinds s with judge's grade j of  N_s * n_{s,h} / n_s
        accuracy = trace / sum;   kappa = (accuracy - e) / (1 - e),   e = sum_g row_g * column_g / sum^2

    Cohen 1960. Intervals are percentiles over replicates that redraw people's grades within each kind (Efron 1979). A
    kind in which all rows agree adds no spread, which makes the interval too narrow: ten rows that all agree are no
    evidence against one wrong grade in four (0.75^10 = 0.06). Rows left blank are taken to be blank
    by chance: whoever leaves out the hard ones flatters the judge.

    Args:
        filled: rows of `draw`, `human_grade` filled in or blank.
        labels: the table the audit was drawn from.
        level: coverage of the intervals.
        n_replicates: redraws.
        seed: of the private generator.

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
    for stratum, n in zip(strata, counts.sum(axis=1), strict=True):
        if not n:
            raise KindUngraded(stratum[0], stratum[1].value, sizes[stratum])
    population = np.array([sizes[stratum] for stratum in strata], dtype=np.float64)
    rng = np.random.default_rng(seed)
    drawn = [rng.multinomial(row.sum(), row / row.sum(), size=n_replicates) for row in counts]
    replicates = np.stack(drawn, axis=1)  # (b, s, h)
    judge = np.array([[s[1] == grade for grade in _GRADES] for s in strata], dtype=np.float64)  # (s, j)

    def confusions(of: NDArray[np.int64], kept: NDArray[np.float64]) -> NDArray[np.float64]:
        """(…, s, h) counts -> (…, j, h) estimated numbers of answers in the strata that are kept."""
        share = of / of.sum(axis=-1, keepdims=True)
        return np.asarray(np.einsum("sj,s,...sh->...jh", judge, population * kept, share))

    def estimate(value: float, values: NDArray[np.float64]) -> Estimate:
        low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
        return Estimate(value=value, low=float(low), high=float(high))

    everyone = np.ones(len(strata))
    confusion, resampled = confusions(counts, everyone), confusions(replicates, everyone)
    kappa, by_role = float(cohen_kappa(confusion)), {}
    for role in ROLES:
        kept = np.array([stratum[0] == role for stratum in strata], dtype=np.float64)
        if kept.any():
            own = accuracy_of(confusions(replicates, kept))
            by_role[role] = estimate(float(accuracy_of(confusions(counts, kept))), own)
    return AuditResult(
        n_graded=len(human),
        n_blank=len(filled) - len(human),
        n_answers=len(answers),
        accuracy=estimate(float(accuracy_of(confusion)), accuracy_of(resampled)),
        kappa=None if np.isnan(kappa) else estimate(kappa, cohen_kappa(resampled)),
        by_role=by_role,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        counted=tuple(tuple(row) for row in (judge.T @ counts).tolist()),
    )


def accuracy_of(confusion: NDArray[np.float64]) -> NDArray[np.float64]:
    """(…, k, k) -> (…) share on the diagonal."""
    return np.asarray(np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=(-2, -1)))


def cohen_kappa(confusion: NDArray[np.float64]) -> NDArray[np.float64]:
    """(…, k, k) -> (…) agreement beyond chance, at most 1; NaN where both sides gave one and the same grade only."""
    total = confusion.sum(axis=(-2, -1))
    chance = (confusion.sum(axis=-1) * confusion.sum(axis=-2)).sum(axis=-1) / total**2
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
