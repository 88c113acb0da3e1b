"""Is a query like those that the head was calibrated on? How far its hidden state lies from theirs, and how far is far.

The distance is that of probabilistic principal components (Tipping and Bishop 1999, doi:10.1111/1467-9868.00196): along
the components Mahalanobis', across them the rest in units of its mean variance. Rows that the fit has not seen say how
far is far: of queries like them a share of at most `alarms` lies beyond the limit, whatever they are distributed like
(split conformal, Vovk et al. 2005). What lies within it may still be unlike in ways that this state does not show.
"""

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from routecal.calib.checkpoint_errors import HeadUnusable
from routecal.calib.checks import FloatArray
from routecal.calib.errors import OutOfRange, TooFewExamples

WEIGHTS = "familiarity.safetensors"
AT_MOST_COMPONENTS = 64
# Rows for each component, or its variance is that of chance.
ROWS_PER_COMPONENT = 10


@dataclass(frozen=True)
class Familiarity:
    """What queries of the calibration look like.

    Attributes:
        mean: (d,) of their states.
        components: (k, d), orthonormal.
        variances: (k,) along them.
        rest: mean variance across them.
        limit: distance beyond which a query is unlike.
    """

    mean: FloatArray
    components: FloatArray
    variances: FloatArray
    rest: float
    limit: float

    @classmethod
    def fit(cls, states: ArrayLike, held_out: ArrayLike, *, alarms: float = 0.01) -> Self:
        """Learn from states, and set the limit by others.

        Args:
            states: (n, d) hidden states of labelled queries.
            held_out: (m, d) of others like them, m at least 1 / alarms - 1.
            alarms: share of queries like these that may be called unlike, in (0, 1).

        Raises:
            TooFewExamples: there are too few of either.
            OutOfRange: alarms.

        >>> rng = np.random.default_rng(0)
        >>> found = Familiarity.fit(rng.normal(size=(500, 8)), rng.normal(size=(400, 8)))
        >>> (found.relative([[0.0] * 8, [9.0] * 8]) > 1).tolist()
        [False, True]
        """
        x, others = np.asarray(states, np.float64), np.asarray(held_out, np.float64)
        if not 0 < alarms < 1:
            raise OutOfRange("alarms", alarms, "above 0 and below 1")
        if len(x) < 2 * ROWS_PER_COMPONENT:
            raise TooFewExamples(len(x), 2 * ROWS_PER_COMPONENT)
        if (rank := ceil((1 - alarms) * (len(others) + 1))) > len(others):
            raise TooFewExamples(len(others), ceil(1 / alarms) - 1)
        mean = x.mean(axis=0)
        _, singular, components = np.linalg.svd(x - mean, full_matrices=False)
        variances = singular**2 / (len(x) - 1)
        k = min(AT_MOST_COMPONENTS, len(x) // ROWS_PER_COMPONENT, int((variances > variances[0] * 1e-9).sum()))
        left = x.shape[1] - k
        rest = float(variances[k:].sum() / left) if left else 0.0
        # States that have no other directions leave none of their variance there; then any other direction is far.
        rest = max(rest, float(variances[0]) * 1e-9, np.finfo(float).tiny)
        found = cls(mean, components[:k], variances[:k], rest, 0.0)
        limit = float(np.sort(found.distance(others))[rank - 1])
        return cls(mean, components[:k], variances[:k], rest, limit)

    def distance(self, states: ArrayLike) -> FloatArray:
        """(n,) distances of (n, d) states."""
        x = np.asarray(states, np.float64) - self.mean
        along = x @ self.components.T
        across = np.maximum((x**2).sum(axis=1) - (along**2).sum(axis=1), 0.0)
        return np.asarray(np.sqrt((along**2 / self.variances).sum(axis=1) + across / self.rest))

    def relative(self, states: ArrayLike) -> FloatArray:
        """(n,) distances in units of the limit: above 1 a query is unlike."""
        return np.asarray(self.distance(states) / max(self.limit, np.finfo(float).tiny))

    def save(self, folder: Path) -> None:
        """Write it beside a head."""
        arrays = {
            "mean": self.mean,
            "components": self.components,
            "variances": self.variances,
            "rest_and_limit": np.array([self.rest, self.limit]),
        }
        (folder / WEIGHTS).write_bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """The one beside a head, the same to the last bit; None where there is none.

        Raises:
            HeadUnusable: it is damaged.
        """
        if not (folder / WEIGHTS).is_file():
            return None
        try:
            arrays = load_file(folder / WEIGHTS)
            rest, limit = arrays.pop("rest_and_limit").tolist()
            found = cls(**arrays, rest=rest, limit=limit)
            k, d = found.components.shape
            if found.mean.shape != (d,) or found.variances.shape != (k,):
                raise ValueError("its arrays are not of one width")
            if not all(np.isfinite(array).all() for array in (*arrays.values(), np.array([rest, limit]))):
                raise ValueError("it holds NaN or infinity")
            return found
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise HeadUnusable(str(folder), f"{WEIGHTS}: {str(error).splitlines()[0]}") from error
