"""Watch a promised risk on labelled decisions as they come: is the promise broken, and did something change?

Both questions bet against the promise, with the same stakes. If the risk is at most `level`, every factor

    1 + lambda w (x - level),    x the loss of a decision, w its weight

has a mean of at most 1, whatever came before.

*Broken*: the products of factors, averaged over the stakes, are an e-process. While the promise holds it ever reaches
1 / false_alarm with probability at most `false_alarm`, however often one looks (Ville 1939; Waudby-Smith and Ramdas
2024, doi:10.1093/jrsssb/qkad009).

*Changed*: the recursion r <- (r + 1) * factor (Shiryaev-Roberts) forgets a good past, so that a late change is seen as
soon as an early one. While the promise holds it takes `run_length` labelled decisions on average, at least, until a
false alarm (e-detectors, Shin, Ramdas and Rinaldo 2024, doi:10.51387/23-NEJSDS51).

The state is a dozen numbers, whatever the length of the stream.
"""

from math import inf, isfinite, log
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, model_validator

from routecal.calib.errors import OutOfRange

# Parts of the largest stake at which a factor stays above zero: small ones see small changes, large ones soon.
STAKES = (0.045, 0.09, 0.18, 0.36, 0.72)


class RiskMonitor(BaseModel):
    """What is known of a promise after some labelled decisions; `after` gives the next.

    >>> new = RiskMonitor(level=0.1)
    >>> after = new
    >>> for _ in range(30):
    ...     after = after.after(1.0)
    >>> new.broken_after, after.broken_after, after.changed_after
    (None, 3, 6)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    level: float = Field(gt=0, lt=1, description="the promised risk, as a share of decisions")
    lowest: float = Field(default=0.0, le=0, description="the smallest loss: 0, or -1 where a query can be won back")
    false_alarm: float = Field(default=0.025, gt=0, lt=1, description="probability that a promise that holds is broken")
    run_length: float = Field(default=20_000, gt=1, description="mean labelled decisions to a false alarm of a change")
    n: int = Field(default=0, ge=0, description="labelled decisions so far")
    log_products: tuple[float, ...] = Field(default=(0.0,) * len(STAKES), description="log of the products, per stake")
    log_detectors: tuple[float, ...] = Field(default=(-inf,) * len(STAKES), description="log of r, per stake")
    broken_after: int | None = Field(default=None, description="decisions until the promise was found broken")
    changed_after: int | None = Field(default=None, description="decisions until a change was found")

    @model_validator(mode="after")
    def _of_these_stakes(self) -> Self:
        if not len(self.log_products) == len(self.log_detectors) == len(STAKES):
            raise ValueError(f"a state has {len(STAKES)} numbers of each kind")
        if not all(map(isfinite, self.log_products)) or any(r != r or r == inf for r in self.log_detectors):
            raise ValueError("a state holds finite numbers; a detector that has seen nothing is -Infinity")
        return self

    @property
    def evidence(self) -> float:
        """log of the e-process: 0 says nothing, log(1 / false_alarm) that the promise is broken."""
        return _log_mean(self.log_products)

    def after(self, loss: float, *, weight: float = 1.0) -> Self:
        """The state after one more labelled decision.

        Args:
            loss: of the decision, from `lowest` to 1: 1 for what the promise counts, else 0; -1 where won back.
            weight: where decisions are labelled with unequal probabilities, the smallest of these over its own, in
                (0, 1]: the bets are then about all decisions. Weights above 1 could bet more than there is.

        Raises:
            OutOfRange: loss or weight.
        """
        if not self.lowest <= loss <= 1:
            raise OutOfRange("loss", loss, f"from {self.lowest:g} to 1")
        if not 0 < weight <= 1:
            raise OutOfRange(
                "weight", weight, "above 0 and at most 1: the smallest probability of a label over its own"
            )
        n = self.n + 1
        stakes = np.array(STAKES) / (self.level - self.lowest)
        bets = np.log1p(stakes * weight * (loss - self.level))
        products = np.array(self.log_products) + bets
        detectors = np.logaddexp(np.array(self.log_detectors), 0.0) + bets
        is_broken = _log_mean(products) >= -log(self.false_alarm)
        has_changed = _log_mean(detectors) >= log(self.run_length)
        return self.model_copy(
            update={
                "n": n,
                "log_products": tuple(products.tolist()),
                "log_detectors": tuple(detectors.tolist()),
                "broken_after": n if is_broken and self.broken_after is None else self.broken_after,
                "changed_after": n if has_changed and self.changed_after is None else self.changed_after,
            }
        )


def _log_mean(logs: ArrayLike) -> float:
    return float(np.logaddexp.reduce(np.asarray(logs, np.float64)) - log(len(STAKES)))
