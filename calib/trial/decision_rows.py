"""What a decision rule may see: labelled rows with their outcomes, test rows without; and what it answers."""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from routecal.calib.checks import FloatArray
from routecal.calib.examples import Examples
from routecal.calib.learn.cross_fit import FOLDS, fold_of
from routecal.calib.outcome.cells import Cells
from routecal.calib.outcome.head import Blocks
from routecal.calib.outcome.inputs import OutcomeInputs


class Decided(NamedTuple):
    """What a rule says of n queries.

    Attributes:
        need: (n,) how much each needs the large model, in any unit; +inf: it is never kept on the medium one.
        medium_right, large_right: (n,) probabilities, where the rule has them.
        confidence: (n,) probability that the router's policy is the true one, where the rule has it.
    """

    need: FloatArray
    medium_right: FloatArray | None = None
    large_right: FloatArray | None = None
    confidence: FloatArray | None = None


class Answer(NamedTuple):
    """What a rule says of labelled rows, each by models that it did not teach, and of test rows by all models."""

    labelled: Decided
    test: Decided


@dataclass(frozen=True, eq=False)
class DecisionRows:
    """Labelled rows with their outcomes, and test rows without any.

    Attributes:
        labelled, test: the router's view of n and t queries; test rows carry no true policy.
        blocks, test_blocks: (n, d) and (t, d) hidden states by name, which the learned rules read.
        cells: the joint outcomes.
        cell: (n,) index into `cells`.
        fold: (n,) 0 … FOLDS - 1, near-identical queries in one.
        x, test_x: what linear rules read, of every block its components, and the router's outputs.
    """

    labelled: Examples
    test: Examples
    blocks: Blocks
    test_blocks: Blocks
    cells: Cells
    cell: NDArray[np.int64]
    fold: NDArray[np.int64]
    x: FloatArray
    test_x: FloatArray

    @classmethod
    def of(
        cls,
        labelled: Examples,
        test: Examples,
        blocks: Blocks,
        test_blocks: Blocks,
        cells: Cells,
        cell: NDArray[np.int64],
    ) -> Self:
        """Rows dealt to folds by their share, with the columns that the outcome head reads; none is of an outcome."""
        assert labelled.share is not None, "rows of the benchmark carry the share that deals them"
        columns, test_columns = [], []
        for name, hidden in blocks.items():
            inputs = OutcomeInputs.of(hidden, labelled.logits)
            columns.append(inputs(hidden, labelled.logits))
            test_columns.append(inputs(test_blocks[name], test.logits))
        fold = fold_of(labelled.share, FOLDS)
        x, test_x = np.hstack(columns), np.hstack(test_columns)
        return cls(labelled, test, blocks, test_blocks, cells, cell, fold, x, test_x)

    @property
    def medium_right(self) -> FloatArray:
        """(n,) {0, 1} of the labelled rows."""
        return np.array(self.cells.medium, np.float64)[self.cell]

    @property
    def large_right(self) -> FloatArray:
        """(n,) {0, 1} of the labelled rows."""
        return np.array(self.cells.large, np.float64)[self.cell]

    @property
    def gain(self) -> FloatArray:
        """(n,) {-1, 0, 1}: large right minus medium right."""
        return self.large_right - self.medium_right
