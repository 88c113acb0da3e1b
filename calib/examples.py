"""The rows that heads and baselines learn from: the router's view of a query, and whether it decided right."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from routecal.calib.errors import InvalidProbability, LengthMismatch, NonFinite, OneClass, OutOfRange, TooFewExamples

SPLITS = ("train", "calibration", "validation", "test")
LABELLED = SPLITS[:3]
WARN_BELOW = 100
REFUSE_BELOW = 30


@dataclass(frozen=True)
class Examples:
    """Labelled examples, one row per query.

    Attributes:
        hidden: (n, d) float32, the router's last hidden state.
        logits: (n, 3) float32, the router's logits in the order of `calib.policy.POLICIES`.
        policy: (n,) int64, index of the policy the router chose.
        true_policy: (n,) int64, index of the policy the oracle found.
        split: (n,) str, one of `SPLITS`.
        verbal: (n,) float32 in [0, 1], P(True) that a causal router gives its own decision when asked; None where
            it was not asked.
        target: (n,) float32 in [0, 1], share of the oracle's samples that found the router right, where it was asked
            more than once: heads train on it instead of y. Metrics, thresholds and early stopping stay on y.
        share: (n,) float64 in [0, 1), a hash of the query's text that decides its fold in cross-fitting: near-identical
            queries share it. None: rows are dealt one by one.
    """

    hidden: NDArray[np.float32]
    logits: NDArray[np.float32]
    policy: NDArray[np.int64]
    true_policy: NDArray[np.int64]
    split: NDArray[np.str_]
    verbal: NDArray[np.float32] | None = None
    target: NDArray[np.float32] | None = None
    share: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        for name, values in self._columns():
            if len(values) != len(self.hidden):
                raise LengthMismatch("hidden", len(self.hidden), name, len(values))
        for name in ("hidden", "logits"):
            values = getattr(self, name)
            if bad := tuple(np.flatnonzero(~np.isfinite(values).all(axis=1)).tolist()):
                raise NonFinite(name, bad, len(values))
        if self.target is not None and len(i := np.flatnonzero(~((self.target >= 0) & (self.target <= 1)))):
            raise InvalidProbability("target", int(i[0]), float(self.target[i[0]]))

    def __len__(self) -> int:
        return len(self.hidden)

    @property
    def y(self) -> NDArray[np.float32]:
        """(n,) 1 where the router's policy is the true one, else 0."""
        return np.asarray(self.policy == self.true_policy, np.float32)

    def only(self, *splits: str) -> Self:
        """The rows of the given splits, in order."""
        return self.where(np.isin(self.split, splits))

    def where(self, mask: NDArray[np.bool_]) -> Self:
        """The rows where `mask` (n,) holds."""
        return replace(self, **{name: values[mask] for name, values in self._columns()})

    def _columns(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Every array that is there, by its name."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return ((name, array) for name, array in values if array is not None)

    def check(self) -> None:
        """Refuse a set that no confidence can be calibrated on.

        Raises:
            TooFewExamples: fewer than `REFUSE_BELOW` rows in all, or a split with fewer than two.
            OneClass: the router is right everywhere, or wrong everywhere, in all rows or in the train split.
        """
        if len(self) < REFUSE_BELOW or min(len(self.only(s)) for s in SPLITS) < 2:
            raise TooFewExamples(len(self), REFUSE_BELOW)
        for where, rows in (("labelled", self), ("train", self.only("train"))):
            if rows.y.min() == rows.y.max():
                raise OneClass(where, len(rows), int(rows.y[0]))


def random_split(n: int, *, calibration: float, validation: float, seed: int) -> NDArray[np.str_]:
    """(n,) train, calibration or validation for each row, by a private permutation; at least one row of each.

    Args:
        n: rows.
        calibration, validation: shares of the rows, in (0, 1); the rest trains.
        seed: of the permutation.

    Raises:
        OutOfRange: a share is not in (0, 1), or they leave no rows to train on.

    >>> np.unique(random_split(10, calibration=0.3, validation=0.2, seed=0), return_counts=True)[1].tolist()
    [3, 5, 2]
    """
    for name, share in (("calibration_fraction", calibration), ("validation_fraction", validation)):
        if not 0 < share < 1:
            raise OutOfRange(name, share, "a number between 0 and 1")
    counts = [max(1, round(share * n)) for share in (calibration, validation)]
    if sum(counts) >= n:
        raise OutOfRange(
            "calibration_fraction + validation_fraction", sum(counts) / n, "a sum that leaves rows to train on"
        )
    names = np.repeat(["train", "calibration", "validation"], [n - sum(counts), *counts])
    return np.asarray(names[np.random.default_rng(seed).permutation(n)])
