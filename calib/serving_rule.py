"""How queries are divided between the two models: by which number, from which threshold on, at which prices."""

import hashlib
import json
import math
import sys
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from routecal.calib.checks import FloatArray
from routecal.calib.extra_cost import ExtraCost, Prices
from routecal.calib.need import confidence_threshold
from routecal.calib.policy import DEFAULT_MAP, PolicyMap
from routecal.calib.promise.guarantee import Guarantee


class ServingRule(BaseModel):
    """What decides which model serves a query; all of it may change without training anything."""

    model_config = ConfigDict(frozen=True)

    decides_by: Literal["confidence", "gain"] = Field(
        default="confidence",
        description="confidence: the large model serves the policies that the map sends to it, and others below the "
        "threshold; gain: queries whose gain per relative extra cost is above it, whatever their policy",
    )
    policy_map: PolicyMap = Field(default=DEFAULT_MAP, description="which model serves which policy")
    threshold: float = Field(description="of the confidence, or of the gain per relative extra cost")
    threshold_from: str = Field(default="", description="on which rows and by what rule it was chosen")
    extra_cost: ExtraCost = Field(default=ExtraCost(), description="relative extra cost of a query")
    prices: Prices | None = Field(default=None, description="flat prices that the threshold was chosen at")
    answer_value: float | None = Field(
        default=None, gt=0, description="worth of a right answer, where that chose the threshold: it moves with prices"
    )

    guarantee: Guarantee | None = Field(default=None, description="what was promised for the threshold; None: nothing")

    @field_validator("threshold")
    @classmethod
    def _finite(cls, threshold: float) -> float:
        """All-large and all-medium are thresholds that no number passes; JSON has no infinity."""
        if math.isnan(threshold):
            raise ValueError("a threshold cannot be NaN")
        return min(max(threshold, -sys.float_info.max), sys.float_info.max)

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        if self.decides_by == "confidence" and self.threshold < 0:
            raise ValueError("a threshold of the confidence is at least 0")
        return self

    def at(self, *, threshold: float | None, prices: Prices | None) -> Self:
        """The same with another threshold or other prices; nothing is trained for it.

        Other prices move the threshold where the value of an answer chose it: the large model then serves where
        gain · value > extra cost. A threshold of another kind stays where it is.

        Raises:
            OutOfRange: the large model is not the dearer one.

        >>> ServingRule(decides_by="gain", threshold=0.1, answer_value=100).at(
        ...     threshold=None, prices=Prices(medium=1, large=21)
        ... ).threshold
        0.2
        """
        changes: dict[str, Any] = {} if threshold is None else {"threshold": threshold}
        if prices is not None:
            Prices.of(prices.medium, prices.large)
            changes |= {"prices": prices, "extra_cost": ExtraCost()}
            if self.answer_value is not None and threshold is None:
                changes["threshold"] = prices.extra / self.answer_value
        return type(self).model_validate(self.model_dump() | changes)

    @property
    def prices_sha256(self) -> str:
        """Of the prices, and of what a query costs more by them."""
        prices = None if self.prices is None else self.prices.model_dump()
        text = json.dumps([prices, self.extra_cost.model_dump()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def is_promised_threshold(self) -> bool:
        """Whether the threshold is the one that the guarantee was given for."""
        if self.guarantee is None:
            return False
        promised = self.guarantee.threshold
        if self.decides_by == "confidence":  # kept where -p <= threshold of the need
            promised = confidence_threshold(promised)
        return self.threshold == self._finite(promised)

    def escalates(self, p: FloatArray, gain: FloatArray | None, n_tokens: ArrayLike) -> NDArray[np.bool_]:
        """(n,) see `calib.calibrated_router.Decision.escalate`.

        Args:
            p: (n,) confidence in the router's policy.
            gain: (n,) of the large model; None where nothing tells it.
            n_tokens: (n,) of the prompts.

        >>> ServingRule(threshold=0.5).escalates(np.array([0.4, 0.5]), None, [9, 9]).tolist()
        [True, False]
        >>> rule = ServingRule(threshold=0.1, decides_by="gain")
        >>> rule.escalates(np.array([0.4, 0.5]), np.array([0.1, 0.2]), [9, 9]).tolist()
        [False, True]
        """
        if self.decides_by == "confidence":
            return np.asarray(p < self.threshold)
        assert gain is not None  # a folder without an outcome head is refused where it is made and opened
        return np.asarray(gain / self.extra_cost(n_tokens) > self.threshold)
