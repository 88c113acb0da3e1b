"""What an oracle is made of, resolved: everything that decides its labels, and so is part of their cache key."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from storage.artifact import Artifact


class LocalOracle(BaseModel):
    """A causal model on this machine, closed-book as medium and open-book as large."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["local"] = "local"
    name: str = Field(description="what people call the model")
    checkpoint: Artifact = Field(description="folder of the causal-LM checkpoint that answers")
    prompts_sha256: str = Field(description="of the two prompt files")

    @property
    def facts(self) -> dict[str, str]:
        """What a reader of the labels must know."""
        return {
            "Medium model": f"{self.name}, answering from memory (closed-book, few-shot prompt)",
            "Large model": "the same weights as the medium model, with a fact sheet in the prompt (open-book): "
            "better and dearer, as it reads several times the tokens, but no larger network",
            "Judge": "exact match after normalisation, against the reference and its aliases",
        }


class ReplayOracle(BaseModel):
    """Recorded outcomes of a medium and a large model."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["replay"] = "replay"
    outcomes: Artifact = Field(description="table of kind `outcomes`")
    medium_model: str = Field(description="as recorded")
    large_model: str = Field(description="as recorded")

    @property
    def facts(self) -> dict[str, str]:
        """What a reader of the labels must know."""
        return {
            "Medium model": f"{self.medium_model} (recorded outcomes)",
            "Large model": f"{self.large_model} (recorded outcomes)",
            "Judge": "as recorded",
        }


OracleSpec = Annotated[LocalOracle | ReplayOracle, Field(discriminator="kind")]
