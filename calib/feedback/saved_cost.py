"""What keeping queries on the medium model has saved so far, in money, from the answers whose price is known.

Of n kept queries it is known what the medium model's answers cost, c in all. What the large model's would have cost is
not; they are taken for draws from what its m logged answers cost, with mean M and standard deviation s:

    saved = n M - c

The error of n M has two parts: M is the mean of m answers alone, and these n queries need not be average ones. Their
distances from the value are added as squares, below and above it each by itself (MOVER, Zou and Donner 2008,
doi:10.1002/sim.3095): that of the mean by Hall's interval (`metrics.bootstrap.mean_interval`), since costs are skewed,
that of the n queries by Student's, z s / sqrt(n). What was paid is no estimate and adds none.

When it lies: routers send hard queries to the large model, and hard queries have long answers. Where the kept ones
would have got shorter answers from it, less was saved than this says. A share of queries that is served at random
(`--explore`) brings kept and sent ones together. Costs that never vary have an interval of no width.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, Field
from scipy.stats import t

from routecal.calib.errors import CalibError, OutOfRange
from routecal.calib.metrics import Estimate
from routecal.calib.metrics.bootstrap import mean_interval_of

# From so many answers of the large model on, 93 to 96 in 100 intervals of 95 % hold what was saved, where costs are
# lognormal with a sigma up to 1.2; with 30 answers it is 90. Measured by tests/calib/feedback/test_saved_cost.py.
FEWEST = 100


class TooFewPriced(CalibError, ValueError):
    """Too few answers of a model have a known price.

    Args:
        model: medium or large.
        n: answers with one.
        least: that are needed.
    """

    model: str
    n: int
    least: int
    sentence = "{n} answers of the {model} model have a known price; to say what was saved takes at least {least}"


@dataclass(frozen=True)
class Costs:
    """Costs of any number of answers, in four numbers; those of parts are added.

    Attributes:
        n: answers.
        mean: USD of one; 0 where there is none.
        m2, m3: sums of squares and of cubes of the distances from the mean.
    """

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0
    m3: float = 0.0

    @classmethod
    def of(cls, usd: ArrayLike) -> Self:
        """Of costs (n,) in USD.

        Raises:
            OutOfRange: one is negative or not finite.

        >>> Costs.of([1.0, 1.0, 4.0])
        Costs(n=3, mean=2.0, m2=6.0, m3=6.0)
        """
        x = np.asarray(usd, np.float64)
        if len(bad := np.flatnonzero(~((x >= 0) & (x < np.inf)))):
            raise OutOfRange(f"usd[{bad[0]}]", float(x[bad[0]]), "at least 0, and finite")
        if not len(x):
            return cls()
        centred = x - x.mean()
        return cls(len(x), float(x.mean()), float((centred**2).sum()), float((centred**3).sum()))

    def __add__(self, other: Self) -> Self:
        """Of both together (Pebay 2008, SAND2008-6212).

        >>> Costs.of([1.0]) + Costs.of([1.0, 4.0]) == Costs.of([1.0, 1.0, 4.0])
        True
        """
        n = self.n + other.n
        if not n:
            return self
        a, b, apart = self.n, other.n, other.mean - self.mean
        return type(self)(
            n,
            self.mean + apart * b / n,
            self.m2 + other.m2 + apart**2 * a * b / n,
            self.m3 + other.m3 + apart**3 * a * b * (a - b) / n**2 + 3 * apart * (a * other.m2 - b * self.m2) / n,
        )

    @property
    def total(self) -> float:
        """USD of all."""
        return self.n * self.mean


class SavedCost(BaseModel, frozen=True):
    """What was saved, and what that rests on."""

    saved_usd: Estimate = Field(description="by all kept queries together; negative where they cost more")
    paid_usd: float = Field(description="what their answers did cost")
    n_kept: int = Field(description="answers of the medium model with a known price")
    n_large: int = Field(description="answers of the large model with a known price")
    large_usd: float = Field(description="mean cost of one of these")
    level: float = Field(description="coverage of the interval")


def saved_cost(kept: Costs, large: Costs, *, level: float = 0.95) -> SavedCost:
    """What the kept queries saved against the large model.

    Args:
        kept: what the medium model's answers to them cost.
        large: what answers of the large model to other queries cost.
        level: coverage of the interval.

    Raises:
        TooFewPriced: no kept query, or fewer than FEWEST answers of the large model, have a known price.

    >>> found = saved_cost(Costs.of([1.0] * 10), Costs.of([2.0, 4.0] * 50))
    >>> found.saved_usd.value, found.paid_usd  # 10 times 3, less 10
    (20.0, 10.0)
    """
    for model, costs, least in (("medium", kept, 1), ("large", large, FEWEST)):
        if costs.n < least:
            raise TooFewPriced(model, costs.n, least)
    n, spread = kept.n, (large.m2 / (large.n - 1)) ** 0.5
    of_queries = float(t.ppf((1 + level) / 2, large.n - 1)) * spread * n**0.5
    low, high = mean_interval_of(large.n, large.mean, large.m2, large.m3, level=level)
    value = n * large.mean - kept.total
    below = (n**2 * (large.mean - low) ** 2 + of_queries**2) ** 0.5
    above = (n**2 * (high - large.mean) ** 2 + of_queries**2) ** 0.5
    # Nobody is paid for an answer: at worst all that was paid is lost.
    saved = Estimate(value=value, low=max(value - below, -kept.total), high=value + above)
    return SavedCost(
        saved_usd=saved,
        paid_usd=kept.total,
        n_kept=n,
        n_large=large.n,
        large_usd=large.mean,
        level=level,
    )
