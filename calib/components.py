"""Hidden states as few numbers: standardised columns, and their principal components."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from routecal.calib.checks import FloatArray
from routecal.calib.head.head_inputs import CLIP_STD


@dataclass(frozen=True, eq=False)
class Standard:
    """(x - mean) / std by column, clipped at 8; a column that does not vary becomes 0 instead of noise blown up."""

    mean: FloatArray
    std: FloatArray

    @classmethod
    def of(cls, x: NDArray[np.floating]) -> Self:
        """Mean and std of the columns of x (n, d)."""
        mean, std = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
        return cls(mean, np.where(std <= 1e-6 * np.maximum(1.0, np.abs(mean)), np.inf, std))

    def __call__(self, x: NDArray[np.floating]) -> FloatArray:
        return np.asarray(np.clip((x - self.mean) / self.std, -CLIP_STD, CLIP_STD))


@dataclass(frozen=True, eq=False)
class Reduced:
    """The first principal components of the standardised hidden state, at their own scale."""

    standard: Standard
    components: FloatArray

    @classmethod
    def of(cls, hidden: NDArray[np.floating], *, n_components: int) -> Self:
        """At most `n_components` components of hidden (n, d), by the eigenvectors of its covariance."""
        # Here: a head that is served projects on components that were found before, and opens without scikit-learn.
        from sklearn.decomposition import PCA

        standard = Standard.of(hidden)
        n = min(n_components, hidden.shape[1], len(hidden) - 1)
        # where no column varies, PCA divides 0 by 0 for a share of variance that nobody reads
        with np.errstate(invalid="ignore"):
            return cls(standard, PCA(n, svd_solver="covariance_eigh").fit(standard(hidden)).components_)

    def __call__(self, hidden: NDArray[np.floating]) -> FloatArray:
        return np.asarray(self.standard(hidden) @ self.components.T)
