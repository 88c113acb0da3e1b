"""What escalation comes to: the rule that decides, its threshold and promise, and what both were measured against."""

from pydantic import BaseModel, Field

from routecal.calib.escalation import CellRegret, Saving, ThresholdPoint
from routecal.calib.extra_cost import ExtraCost, Prices
from routecal.calib.metrics import Estimate
from routecal.calib.need import confidence_threshold
from routecal.calib.policy import DEFAULT_MAP, PolicyMap
from routecal.calib.serving_rule import ServingRule
from routecal.calib.settings import EscalationTerms
from routecal.tasks.guarantees import Basis

CALLS = "calls of the large model"
# Rules that decide: by the gain that the outcome head states, or by whether the router's policy is right.
JOINT, CONFIDENCE = "joint outcome", "confidence"


class Promised(BaseModel, frozen=True):
    """What holds for the threshold of the rule that decides, beyond the rows it was measured on."""

    sentence: str = Field(description="the promise, or how else the threshold was chosen, in words")
    holds: bool = Field(description="something is promised, and queries are kept under it")
    kept: float = Field(default=0.0, description="share of the labelled rows that the promise keeps on medium")
    instead: str = Field(default="", description="where it keeps next to nothing: what can be had, in a sentence")


class OperatingPoint(BaseModel, frozen=True):
    """One row of the table of operating points."""

    asked: str = Field(description="in the operator's words")
    is_promised: bool = Field(description="the quality is promised, not only aimed at")
    saving: Saving | None = Field(description="measured on test rows; None where it cannot be had")


class Escalation(BaseModel, frozen=True):
    """What sending the queries that need it to the large model costs and brings, rule by rule."""

    unit: str = Field(description="of every cost here")
    margin: float = Field(description="quality that counts as none lost, as a share of queries")
    n_chosen_on: int = Field(description="labelled rows that chose the thresholds; test rows never do")
    policy_map: PolicyMap = Field(default=DEFAULT_MAP, description="which model serves which policy")
    note: str = Field(default="", description="why costs are not money, or why nothing could be measured")
    remarks: list[str] = Field(default=[], description="what a reader must know of these queries, in sentences")
    promise: Promised | None = Field(default=None, description="of the rule that decides; None: nothing was measured")
    basis: Basis | None = Field(default=None, description="what a guarantee of it is made from; None: none was asked")
    extra_cost: ExtraCost = Field(default=ExtraCost(), description="that the need of the joint outcome is divided by")
    methods: dict[str, Saving] = Field(
        default={}, description="by rule, the one that decides last: its threshold, measured on the test split"
    )
    policies: dict[str, tuple[float, float]] = Field(
        default={},
        description="(cost, quality) on the test split of all-medium, all-large, router alone, perfect oracle",
    )
    curves: dict[str, list[ThresholdPoint]] = Field(
        default={}, description="by rule, over thresholds, on the test split"
    )
    bands: dict[str, list[tuple[float, float]]] = Field(default={}, description="intervals of quality along the curves")
    oracle: list[tuple[float, float]] = Field(default=[], description="(cost, quality): the best for every budget")
    areas: dict[str, Estimate | None] = Field(
        default={}, description="by rule: area of its curve over random, where the perfect oracle has 1"
    )
    area_difference: Estimate | None = Field(default=None, description="the joint outcome's area minus confidence's")
    points: list[OperatingPoint] = Field(default=[], description="other thresholds of the rule that decides")
    slices: dict[str, str] = Field(
        default={}, description="by kind of slice: where the promise also holds by itself, in a sentence"
    )
    regret: list[CellRegret] = Field(default=[], description="of the rule that decides, by pair of grades")
    topics: dict[str, Saving] = Field(default={}, description="the same threshold on topics of the test split")

    @property
    def rule(self) -> str | None:
        """The rule that decides; None where nothing could be measured."""
        return list(self.methods)[-1] if self.methods else None


def serving_rule(found: Escalation, terms: EscalationTerms, rows: str) -> ServingRule:
    """What a packed folder must say so that it decides as was measured.

    Args:
        found: with a rule that decides.
        terms: that `found` was made under.
        rows: the labelled rows, in words.
    """
    rule = str(found.rule)
    threshold = found.methods[rule].point.threshold
    medium, large = terms.medium_price, terms.large_price
    is_given = medium is not None and large is not None and found.unit == terms.price_unit
    promise = "" if found.promise is None else f", {found.promise.sentence}"
    return ServingRule(
        decides_by="gain" if rule == JOINT else "confidence",
        threshold=threshold if rule == JOINT else confidence_threshold(threshold),
        threshold_from=rows + promise,
        policy_map=found.policy_map,
        extra_cost=found.extra_cost,
        prices=Prices(medium=medium or 0.0, large=large or 0.0, unit=terms.price_unit) if is_given else None,
        answer_value=terms.answer_value if rule == JOINT else None,
    )
