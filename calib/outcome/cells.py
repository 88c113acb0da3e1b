"""The joint outcome of both models on a query, and what follows from its probabilities.

Which of nine pairs of grades a query has decides three things: whether the medium model is right, whether the large
one is, and which policy is the true one. Pairs that agree in all three are one *cell*: nothing that is decided here can
tell them apart. The default matrix makes five of nine pairs: both right; only medium; only large; neither, and not
worth the large model; neither, and worth it (silence instead of a wrong answer). Every probability below is a sum over
cells, so they never contradict each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from routecal.calib.checks import FloatArray
from routecal.calib.decision_errors import GradeUnknown
from routecal.calib.policy import POLICIES, Grade, OracleMatrix


@dataclass(frozen=True)
class Cells:
    """The cells of a matrix, k of them.

    Attributes:
        medium: (k,) 1 where the medium model is right, else 0.
        large: (k,) the same of the large model.
        policy: (k,) index into `POLICIES` of the true policy.
    """

    medium: tuple[int, ...]
    large: tuple[int, ...]
    policy: tuple[int, ...]

    @classmethod
    def of(cls, matrix: OracleMatrix) -> Self:
        """The cells that the nine pairs of grades fall into, in the order of the matrix.

        >>> cells = Cells.of(OracleMatrix())
        >>> cells.medium, cells.large, cells.policy
        ((1, 1, 0, 0, 0), (1, 0, 1, 0, 0), (0, 0, 1, 2, 1))
        """
        found = dict.fromkeys(_cell(m, g, matrix) for m, g in product(Grade, repeat=2))
        return cls(*(tuple(values) for values in zip(*found, strict=True)))

    def __len__(self) -> int:
        return len(self.medium)

    def index(
        self, medium: Sequence[str | None], large: Sequence[str | None], matrix: OracleMatrix
    ) -> NDArray[np.int64]:
        """(n,) cell of every query, from both grades.

        Raises:
            GradeUnknown: a grade is missing, as where only the policy of a query is known.

        >>> matrix = OracleMatrix()
        >>> Cells.of(matrix).index(["INCORRECT", "CORRECT"], ["CORRECT", "NOT_ATTEMPTED"], matrix).tolist()
        [2, 1]
        """
        for model, grades in (("medium", medium), ("large", large)):
            if missing := sum(grade is None for grade in grades):
                raise GradeUnknown(model, missing, len(grades))
        place = {cell: i for i, cell in enumerate(zip(self.medium, self.large, self.policy, strict=True))}
        pairs = zip(medium, large, strict=True)
        return np.array([place[_cell(Grade(str(m)), Grade(str(g)), matrix)] for m, g in pairs], np.int64)

    def medium_right(self, p: FloatArray) -> FloatArray:
        """(n,) probability that the medium model is right, from those of the cells (n, k)."""
        return np.asarray(p @ np.array(self.medium, np.float64))

    def large_right(self, p: FloatArray) -> FloatArray:
        """(n,) probability that the large model is right."""
        return np.asarray(p @ np.array(self.large, np.float64))

    def gain(self, p: FloatArray) -> FloatArray:
        """(n,) in [-1, 1]: by how much likelier the large model is right than the medium one."""
        return np.asarray(p @ (np.array(self.large, np.float64) - np.array(self.medium, np.float64)))

    def true_policy(self, p: FloatArray) -> FloatArray:
        """(n, 3) probability that each policy is the true one, in the order of `POLICIES`."""
        return np.asarray(p @ (np.array(self.policy)[:, None] == np.arange(len(POLICIES))).astype(np.float64))

    def confidence(self, p: FloatArray, policy: ArrayLike) -> FloatArray:
        """(n,) probability that the router's policy (n,), an index into `POLICIES`, is the true one.

        >>> cells = Cells.of(OracleMatrix())
        >>> cells.confidence(np.array([[0.4, 0.1, 0.2, 0.2, 0.1]]), [0]).round(2).tolist()
        [0.5]
        """
        return np.asarray(self.true_policy(p)[np.arange(len(p)), np.asarray(policy)])


def _cell(medium: Grade, large: Grade, matrix: OracleMatrix) -> tuple[int, int, int]:
    policy = POLICIES.index(matrix.true_policy(medium, large))
    return int(medium is Grade.CORRECT), int(large is Grade.CORRECT), policy
