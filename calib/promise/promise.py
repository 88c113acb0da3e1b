"""What was asked of a threshold, and what these labelled rows can promise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from routecal.calib.checks import FloatArray, checked
from routecal.calib.decision_errors import GradeUnknown
from routecal.calib.errors import LengthMismatch, OutOfRange
from routecal.calib.promise.asked import Promise
from routecal.calib.promise.reach import WORTHWHILE, Walker, labels_needed, smallest_level
from routecal.calib.promise.walks import Walk, harm_at_most, harm_on_average, keep_at_most, loss_at_most
from routecal.calib.promise.wording import counted, level_in_words
from routecal.calib.settings import Risk


@dataclass(frozen=True)
class Promised:
    """How far the labelled rows carry what was asked; as a text, one sentence for people.

    Attributes:
        asked: the promise.
        n: labelled rows.
        walk: the threshold that keeps it, and the rows kept; none where it cannot be had.
        n_at_risk: labelled rows on which keeping would cost.
        reachable: where fewer than a tenth are kept: the smallest level, of the same risk and probability, that keeps
            a tenth; None where none up to a half does, or the asked one does.
        labels: likewise about how many labels the asked level would take; None where no number would do.
    """

    asked: Promise
    n: int
    walk: Walk
    n_at_risk: int
    reachable: float | None = None
    labels: int | None = None

    @property
    def is_worthwhile(self) -> bool:
        """Whether at least a tenth of the queries are kept on the medium model."""
        return self.walk.kept >= WORTHWHILE

    def __str__(self) -> str:
        rows, is_average = counted(self.n, "labelled query", "labelled queries"), self.asked.probability is None
        verb = "kept" if is_average else "promised"
        if self.is_worthwhile:
            over = ", from" if is_average else " over the draw of"
            said = f"{self.asked}{over} {rows}: {100 * self.walk.kept:.0f} % stay on the medium model"
            said += "; about every other draw of labels exceeds it" if is_average else ""
            said += "" if self.n_at_risk else "; none of these queries needed the large model"
        elif self.walk.n_kept:
            share = f"{100 * self.walk.kept:.1f} %"
            said = f"{self.asked}, can be {verb} from {rows} for {share} of the queries only: {self._instead()}"
        else:
            said = f"{self.asked}, cannot be {verb} from {rows}: {self._instead()}"
        return said[0].upper() + said[1:]

    def _instead(self) -> str:
        """What can be had."""
        asked, risk = level_in_words(self.asked.risk, self.asked.at_most), self.asked.risk
        looser = f"{level_in_words(risk, self.reachable)} can" if self.reachable else "nothing up to 50 % can"
        more = f"takes about {self.labels:,} labels" if self.labels else "is out of reach of any number of labels"
        return f"{looser}, and {asked} {more}"


def promised(
    need: ArrayLike,
    needs_large: ArrayLike,
    medium_right: ArrayLike | None,
    large_right: ArrayLike | None,
    asked: Promise,
    *,
    instead: bool = True,
) -> Promised:
    """The loosest threshold on `need` that keeps what is asked; where that is (nearly) none, what could be had.

    The promise is of heads that left out the fold of a row. The mean of them all, which is served, lies nearer to the
    middle: at the same threshold it keeps 1 to 3 points fewer of the queries, and breaks promises less often.

    Args:
        need: (n,) how much each labelled query needs the large model, predicted without its label; +inf: never kept.
        needs_large: (n,) whether the true policy is one that the large model serves.
        medium_right: (n,) {0, 1}; None where grades are not known, and then only *kept* can be asked.
        large_right: likewise.
        asked: the promise.
        instead: look for what could be had, where less than a tenth is kept; up to seconds.

    Raises:
        GradeUnknown: harm or loss is asked of labels without grades.
        OutOfRange: an average is asked of another risk than harm.
        LengthMismatch, TooFewExamples, NonFinite, InvalidLabel: these are not rows to promise from.

    >>> need, medium = np.arange(400), np.arange(400) < 200
    >>> asked = Promise(risk="loss", at_most=0.01, probability=0.95)
    >>> print(promised(need, 1 - medium, medium, np.ones(400), asked))  # doctest: +NORMALIZE_WHITESPACE
    At most 1 point of quality lost against all-large, with 95 % over the draw of 400 labelled queries: 50 % stay on the
    medium model
    >>> some = slice(100, 300)
    >>> print(promised(need[some], 1 - medium[some], medium[some], np.ones(200), asked))
    ... # doctest: +NORMALIZE_WHITESPACE
    At most 1 point of quality lost against all-large, with 95 %, cannot be promised from 200 labelled queries: 1.5
    points can, and 1 point takes about 400 labels
    """
    events = events_of(needs_large, medium_right, large_right, asked.risk)
    walk = walker(asked.risk, asked.probability)
    found = walk(need, events, asked.at_most)
    at_risk = int((events < 0).sum() if asked.risk == "loss" else events.sum())
    if found.kept >= WORTHWHILE or not instead:
        return Promised(asked, len(events), found, at_risk)
    reachable = smallest_level(walk, need, events)
    return Promised(asked, len(events), found, at_risk, reachable, labels_needed(walk, need, events, asked.at_most))


def events_of(
    needs_large: ArrayLike, medium_right: ArrayLike | None, large_right: ArrayLike | None, risk: Risk
) -> NDArray[np.int64]:
    """(n,) what the walk of this risk counts where a query is kept.

    Raises:
        GradeUnknown, InvalidLabel, LengthMismatch, TooFewExamples: as `promised`.
    """
    n = np.size(needs_large)

    def of_labels(values: ArrayLike) -> FloatArray:
        return checked(np.zeros(n), values)[1]

    needed = of_labels(needs_large)
    if risk == "kept":
        return np.asarray(needed, np.int64)
    right: list[FloatArray] = []
    for model, values in (("medium", medium_right), ("large", large_right)):
        if values is None:
            raise GradeUnknown(model, n, n)
        if np.size(values) != n:
            raise LengthMismatch("needs_large", n, f"{model}_right", np.size(values))
        right.append(of_labels(values))
    medium, large = right
    return np.asarray(medium - large if risk == "loss" else (1 - medium) * large, np.int64)


def walker(risk: Risk, probability: float | None) -> Walker:
    """The walk of a risk, with all but its rows and its level.

    Raises:
        OutOfRange: an average of another risk than harm.
    """
    if probability is None:
        if risk != "harm":
            raise OutOfRange(
                "probability", float("nan"), f"one from .5 to 1: only harm has a bound on average, not {risk}"
            )
        return lambda need, events, level: harm_on_average(need, events, level=level)
    by_risk = {"kept": keep_at_most, "harm": harm_at_most, "loss": loss_at_most}
    delta = Promise(risk=risk, at_most=0.5, probability=probability).delta
    return lambda need, events, level: by_risk[risk](need, events, level=level, delta=delta)
