"""The same promise for every policy, topic or language that has labels enough; which have not is said."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from routecal.calib.errors import LengthMismatch, OutOfRange
from routecal.calib.promise.asked import Promise
from routecal.calib.promise.promise import events_of, walker
from routecal.calib.promise.walks import Walk, least_rows
from routecal.calib.promise.wording import counted


@dataclass(frozen=True)
class SlicePromise:
    """One slice.

    Attributes:
        name: of the slice.
        n: its labelled queries.
        walk: the threshold for its queries; None where it has too few to be tested.
    """

    name: str
    n: int
    walk: Walk | None


@dataclass(frozen=True)
class SlicePromises:
    """All slices; together every tested one keeps what was asked with the probability that was asked.

    Attributes:
        asked: the promise.
        each: slices, largest first.
        n_tested: slices that share delta (Bonferroni): each is tested at delta / n_tested.
        least: labelled queries that a slice needs to be tested beside these.
    """

    asked: Promise
    each: tuple[SlicePromise, ...]
    n_tested: int
    least: int

    @property
    def covered(self) -> tuple[SlicePromise, ...]:
        """Slices of which some queries may stay on the medium model."""
        return tuple(one for one in self.each if one.walk is not None and one.walk.n_kept)

    def at(self, threshold: float) -> str:
        """Where the promise also holds at one threshold for all queries, in a sentence.

        It does where a slice's own walk went at least as far: every threshold on its way has passed.

        >>> nothing = np.zeros(90)
        >>> asked = Promise(risk="harm", at_most=0.05, probability=0.9)
        >>> found = promised_slices(nothing, nothing, nothing, nothing, ["law"] * 80 + ["tax"] * 10, asked)
        >>> print(found.at(0.0))
        Holds in law (80) by itself too; not covered for want of 59 labels: tax (10)
        """
        tested = [one for one in self.each if one.walk is not None]
        holds = [one for one in tested if one.walk is not None and one.walk.threshold >= threshold]
        said = f"holds in {_names(holds)} by itself too" if holds else "is shown in no slice by itself"
        if len(tested) > 1:
            said += f" (Bonferroni over the {len(tested)} slices tested)"
        if others := [one for one in tested if one not in holds]:
            said += f"; not shown in {_names(others)}"
        if few := [one for one in self.each if one.walk is None]:
            said += f"; not covered for want of {self.least:,} labels: {_names(few)}"
        return said[0].upper() + said[1:]

    def __str__(self) -> str:
        said = f"{self.asked}, at once in {_names(self.covered)}" if self.covered else f"{self.asked}: in no slice"
        if self.n_tested:
            said += f" (Bonferroni over the {counted(self.n_tested, 'slice', 'slices')} tested)"
        if stopped := [one for one in self.each if one.walk is not None and not one.walk.n_kept]:
            said += f"; the large model serves all of {_names(stopped)}"
        if few := [one for one in self.each if one.walk is None]:
            said += f"; not covered for want of {self.least:,} labels: {_names(few)}"
        return said[0].upper() + said[1:]


def promised_slices(
    need: ArrayLike,
    needs_large: ArrayLike,
    medium_right: ArrayLike | None,
    large_right: ArrayLike | None,
    slice_of: Sequence[str],
    asked: Promise,
) -> SlicePromises:
    """A threshold of its own for every slice, such that all promises hold at once with the probability asked.

    Which slices are tested is chosen by their size alone: as many of the largest as could still pass when delta is
    shared among them. A query of a slice that is not covered goes to the large model.

    Args:
        need, needs_large, medium_right, large_right: (n,) as `promised`.
        slice_of: (n,) name of the slice of every query: its policy, topic or language.
        asked: the promise.

    Raises:
        OutOfRange: an average is asked.
        LengthMismatch, GradeUnknown, …: as `promised`.

    >>> asked = Promise(risk="harm", at_most=0.05, probability=0.9)
    >>> topic, zero = ["law"] * 90 + ["art"] * 70 + ["tax"] * 9, np.zeros(169)
    >>> print(promised_slices(zero, zero, zero, zero, topic, asked))  # doctest: +NORMALIZE_WHITESPACE
    At most 5 % of all queries answered wrong that the large model would answer right, with 90 %, at once in law (90)
    and art (70) (Bonferroni over the 2 slices tested); not covered for want of 67 labels: tax (9)
    """
    if asked.probability is None:
        raise OutOfRange("probability", float("nan"), "one from .5 to 1: slices have no bound on average")
    s, events = np.asarray(need), events_of(needs_large, medium_right, large_right, asked.risk)
    if len(slice_of) != len(events):
        raise LengthMismatch("needs_large", len(events), "slice_of", len(slice_of))
    names, where, counts = np.unique(np.asarray(slice_of), return_inverse=True, return_counts=True)
    order = np.lexsort((names, -counts))

    def least(tested: int) -> int:
        return least_rows(asked.at_most, asked.delta / tested)

    n_tested = max((k for k in range(1, len(order) + 1) if counts[order[k - 1]] >= least(k)), default=0)
    walk = walker(asked.risk, 1 - asked.delta / max(n_tested, 1))
    each = [
        SlicePromise(
            str(names[i]),
            int(counts[i]),
            walk(s[where == i], events[where == i], asked.at_most) if at < n_tested else None,
        )
        for at, i in enumerate(order)
    ]
    return SlicePromises(asked, tuple(each), n_tested, least(n_tested + 1))


def _names(slices: Sequence[SlicePromise]) -> str:
    words = [f"{one.name} ({one.n:,})" for one in slices]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
