"""Settings that people choose, declared once: what carries them out inherits them, and so do the flows' parameters.

Apart from both, because forms and `--help` show these and must not load torch for it. Each description says what a
setting is, its unit, its default where the field does not, and when to change it.
"""

from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator

from routecal.calib.policy import DEFAULT_MAP, PolicyMap

Pooling = Literal["last", "mean", "decision"]
Risk = Literal["loss", "harm", "kept"]

# One point: what "the same quality" may mean at most (DESIGN 5.9).
MARGIN = 0.01
# That it is kept on other rows, one-sided: what the claim will be judged by.
CONFIDENCE = 0.95
# Names of version 0.2 that command lines and stored parameters may still have.
RENAMED = {"margin": "at_most", "margin_confidence": "probability"}


class Reading(BaseModel):
    """How the router reads a query, and what is kept of it."""

    model_config = ConfigDict(frozen=True)

    template: str = Field(
        default="{query}",
        pattern=r"\{query\}",
        description="Prompt that the router was trained on, with {query} in place of the query.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="Number type that the router computes in; auto takes the checkpoint's. Half precision saves "
        "memory.",
    )
    max_tokens: int | None = Field(
        default=None,
        ge=8,
        description="Max. tokens of a prompt; the middle of longer ones is cut. Default: the router's window, with at "
        "most 2,048 tokens of a query.",
    )
    layers: tuple[int, ...] = Field(
        default=(-1,),
        min_length=1,
        description="Layers whose hidden states are extracted, as 6,12,-1: 1 is the first, -1 the last, after the "
        "final norm. Name several to let the head choose among them.",
    )
    poolings: tuple[Pooling, ...] = Field(
        default=("last",),
        min_length=1,
        description="How the states of a prompt become one vector, one or more as last,mean: last takes its last "
        "token, mean all of them, decision the token that holds the decision.",
    )
    outcome_layers: tuple[int, ...] | None = Field(
        default=None,
        description="Layers that the outcome head reads, each the mean over the prompt's tokens, as 9,12. Default: "
        "the one in the middle.",
    )
    verbal: bool = Field(
        default=False,
        description="Also ask a causal router whether its decision is right, P(True), to compare with. Costs a second, "
        "shorter forward pass.",
    )


class RewardSettings(BaseModel):
    """The parameters of single rewards of RL."""

    reward_alpha: float = Field(
        default=1.0,
        gt=0,
        le=100,
        description="First parameter of reward beta, used by that reward only. Alpha 1 and beta 1 are the Brier "
        "reward.",
    )
    reward_beta: float = Field(
        default=1.0,
        gt=0,
        le=100,
        description="Second parameter of reward beta, used by that reward only.",
    )
    cost_ratio: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        description="Cost of keeping a wrong decision divided by that of escalating a right one. Used by reward "
        "cost_weighted only.",
    )


class HeadSettings(BaseModel):
    """What of a head's shape most people may want to choose."""

    hidden_units: int = Field(
        default=128, ge=1, le=65536, description="Width of the head's one hidden layer, in units."
    )
    activation: Literal["gelu", "relu"] = Field(
        default="gelu",
        description="Activation of the hidden layer. Choose relu for a head that `routecal export --to switchyard` "
        "writes.",
    )
    residual: bool = Field(
        default=True,
        description="Start from the router's own outputs, calibrated, and learn a correction. Off: a plain MLP on the "
        "hidden state.",
    )
    pca: int | None = Field(
        default=None,
        ge=1,
        description="Number of principal components, whitened, that the head reads of the hidden state. Default: the "
        "whole state.",
    )


class EnsembleSettings(BaseModel):
    """How many heads are trained, and on what."""

    folds: int | None = Field(
        default=None,
        ge=0,
        le=20,
        description="Folds of the labelled queries for cross-fitting, a head for each: 3 to 20, or 0 for one head on "
        "fixed splits. Default: 5 from 100 to 20,000 labelled queries, else 0.",
    )
    members: int = Field(
        default=1,
        ge=1,
        le=100,
        description="Heads per fold, trained with different seeds; their mean is used. Training time grows with it.",
    )


class EscalationTerms(BaseModel):
    """What answers cost where labels do not say, and what decides which queries the large model serves.

    That is a promise (risk, at_most, probability), or one of the operator's other words: a budget, a call rate, or
    what a right answer is worth.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    medium_price: float | None = Field(
        default=None,
        ge=0,
        description="Price of one answer of the medium model, the same for all, in any unit. Default: the costs "
        "recorded with the labels.",
    )
    large_price: float | None = Field(
        default=None,
        gt=0,
        description="Price of one answer of the large model, in the unit of the medium price; 1 and 20 will do, as the "
        "ratio is what matters. Default: the costs recorded with the labels.",
    )
    price_unit: str = Field(
        default="the unit of the prices given", description="Unit of the two prices, as the report names it."
    )
    risk: Risk = Field(
        default="loss",
        description="What is promised to stay rare: loss, quality lost against sending all to the large model; harm, a "
        "kept query that only the large model answers right; kept, a wrong decision among the kept.",
    )
    at_most: float = Field(
        default=MARGIN,
        gt=0,
        lt=1,
        validation_alias=AliasChoices("at_most", "margin"),
        description="Level of the risk that is promised, as a share of queries (0.01 is one point). Raise it to save "
        "more.",
    )
    probability: float = Field(
        default=CONFIDENCE,
        ge=0.5,
        lt=1,
        validation_alias=AliasChoices("probability", "with", "margin_confidence"),
        description="Probability that the promise holds on other queries too, over the draw of the labels. Higher is "
        "safer and saves less.",
    )
    budget: float | None = Field(
        default=None,
        gt=0,
        description="Cost that 1,000 queries may have, in USD or the unit of the prices given, in place of a promise. "
        "Default: none.",
    )
    call_rate: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of queries that the large model may serve, in place of a promise. Default: none.",
    )
    answer_value: float | None = Field(
        default=None,
        gt=0,
        description="Worth of a right answer, in the unit of the prices, in place of a promise: the large model serves "
        "where it gains more than it costs. Default: none.",
    )
    decides_by: Literal["gain", "confidence"] = Field(
        default="gain",
        description="Number that decides: the gain of the large model, where the labels teach it, or the confidence in "
        "the router's policy. Choose confidence for a router that `routecal export --to switchyard` writes.",
    )
    policy_map: dict[str, str] = Field(
        default={},
        description="Model that serves each policy, as Ambiguous_Query=large. By confidence it decides; by the gain it "
        "names the two models and says which kept queries count as wrong. Default: Complex_Query=large, others medium.",
    )

    @field_validator("policy_map")
    @classmethod
    def _of_two_models(cls, policy_map: dict[str, str]) -> dict[str, str]:
        DEFAULT_MAP.changed(policy_map)
        return policy_map

    @property
    def whole_map(self) -> PolicyMap:
        """The default map with what `policy_map` names."""
        return DEFAULT_MAP.changed(self.policy_map)

    @property
    def is_promise(self) -> bool:
        """Whether a promise decides, and none of the operator's other words."""
        return self.budget is None and self.call_rate is None and self.answer_value is None


class PromotionMargins(BaseModel):
    """What a new head must keep to be promoted."""

    brier_margin: float = Field(
        default=0.01,
        gt=0,
        le=0.25,
        description="Brier score by which a new head may be worse than the serving one, with 95% confidence. Lower it "
        "to promote more carefully.",
    )
    target_ece: float = Field(
        default=0.05,
        gt=0,
        le=1,
        description="Calibration error (ECE) below which a new head always counts as calibrated, as a fraction (0.05 "
        "is five points).",
    )
