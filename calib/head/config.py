"""The shape of a confidence head."""

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from routecal.calib.policy import POLICIES
from routecal.calib.settings import HeadSettings


class HeadShape(HeadSettings):
    """What of a head's shape is a matter of choice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dropout: float = Field(default=0.1, ge=0, lt=1, description="fraction of hidden units dropped in training")
    start: Literal["outputs", "logit"] = Field(
        default="outputs",
        description="what the residual starts from: between the router's largest probability at a temperature and a "
        "ridge regression on all its outputs, as cross-validation says; or Platt scaling of that probability",
    )
    router_outputs: bool = Field(
        default=False, description="the MLP reads the router's sorted log probabilities and their entropy as well"
    )


class HeadConfig(HeadShape):
    """The shape of a head.

    >>> HeadConfig(width=640, pca=64, router_outputs=True).n_inputs  # and 3 sorted log probabilities, 1 entropy
    68
    """

    width: int = Field(
        ge=1,
        description="width of the hidden state, read from the router's config; layers x poolings x size if stacked",
    )
    n_logits: int = Field(default=len(POLICIES), ge=2, description="of the router; one per policy")
    start: Literal["outputs", "logit"] = Field(
        default="logit", description="see HeadShape; heads that do not say are of the time when there was no other"
    )

    @model_validator(mode="after")
    def _components_exist(self) -> Self:
        if self.pca is not None and self.pca > self.width:
            raise ValueError(f"pca = {self.pca} components of a hidden state {self.width} wide; at most {self.width}")
        return self

    @property
    def reads_policies(self) -> bool:
        """Whether it needs exactly `n_logits` of them, not any number."""
        return self.router_outputs or (self.residual and self.start == "outputs")

    @property
    def n_inputs(self) -> int:
        """Inputs of the MLP."""
        return (self.pca or self.width) + (self.n_logits + 1 if self.router_outputs else 0)
