"""The bootstrap on sufficient statistics: a thousand replicates of a million rows for the price of a few passes.

Rows of one cell (bin, y) differ only in where p lies in its bin. So a replicate draws how many rows come from each
cell (multinomial, exact) and what these add up to (Gaussian, with the cell's own mean and variance), instead of a
million rows. Mean and variance of every sum are those of the naive bootstrap; what is lost are the higher moments of
sums of 25 and more values within one bin.

The rule: a cell of fewer than 25 rows is too thin for a Gaussian, and its rows are drawn one by one, as the naive
bootstrap does. Under 5,000 rows in all, nothing is gained and everything is naive.
"""

import numpy as np
from numpy.typing import NDArray

from calib.checks import FloatArray
from calib.metrics.cells import BinSums, bin_index
from calib.metrics.replicates import OnBins, OnRows

MIN_ROWS = 5_000
MIN_PER_CELL = 25


class CellBootstrap:
    """Replicates of one (p, y), checked; a metric gets the same ones whatever else is asked for."""

    def __init__(self, p: FloatArray, y: FloatArray, *, n_bins: int, n_replicates: int, seed: int) -> None:
        self.p, self.y, self.n_bins = p, y, n_bins
        cell = 2 * bin_index(p, n_bins=n_bins)
        cell += y.astype(np.int64)
        self.atom, self.cell_of = _atoms(cell, n_cells=2 * n_bins)
        self.size = np.bincount(self.atom, minlength=len(self.cell_of)).astype(np.float64)
        rng = np.random.default_rng(seed)
        self.counts = rng.multinomial(len(p), self.size / len(p), size=n_replicates).astype(np.float64)
        in_bin = (self.cell_of[:, None] // 2 == np.arange(n_bins)).astype(np.float64)
        mean, variance = self._moments(p)
        noise = rng.standard_normal((n_replicates, n_bins)) * np.sqrt(self.counts @ (in_bin * variance[:, None]))
        self.sums = BinSums(
            n=self.counts @ in_bin,
            y=self.counts @ (in_bin * (self.cell_of % 2)[:, None]),
            p=self.counts @ (in_bin * mean[:, None]) + noise,
        )
        self.unit = rng.standard_normal(n_replicates)

    def values(self, metric: OnBins | OnRows) -> FloatArray:
        """The metric on each replicate, (m,)."""
        if isinstance(metric, OnBins):
            assert metric.n_bins == self.n_bins
            return metric.metric(self.sums)
        mean, variance = self._moments(metric.rows(self.p, self.y))
        total = self.counts @ mean + self.unit * np.sqrt(self.counts @ variance)
        return metric.finish(total / len(self.p), self.counts @ (self.cell_of % 2) / len(self.p))

    def _moments(self, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of values (n,) within each atom."""
        mean = np.bincount(self.atom, weights=rows, minlength=len(self.size)) / self.size
        square = np.bincount(self.atom, weights=rows * rows, minlength=len(self.size)) / self.size
        return mean, np.where(self.size > 1, np.maximum(square - mean * mean, 0), 0)


def _atoms(cell: NDArray[np.int64], *, n_cells: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What is drawn at once: whole cells (…) that are thick enough, and each row of those that are not.

    Returns:
        the atom of each row (n,), and the cell of each atom.
    """
    size = np.bincount(cell, minlength=n_cells)
    thick = np.flatnonzero(size >= MIN_PER_CELL)
    number = np.full(n_cells, -1)
    number[thick] = np.arange(len(thick))
    atom = number[cell]
    alone = np.flatnonzero(atom < 0)
    atom[alone] = len(thick) + np.arange(len(alone))
    return atom, np.r_[thick, cell[alone]]
