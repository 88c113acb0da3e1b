"""What an oracle is made of, resolved: everything that decides its labels, and so is part of their cache key."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from routecal.storage.artifact import Artifact
from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec
from routecal.tasks.oracle.prompt_files import version

# Of everything an API oracle is asked with, so that a new wording makes new labels.
PROMPT_VERSIONS = tuple(version(n) for n in ("answer_system", "judge_system", "judge", "judge_second", "decision"))


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
            "better and dearer, as it reads half again as many tokens, but no larger network",
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


class ApiOracle(BaseModel):
    """Two models behind an API, and the judges of their answers."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["gemini", "openai"]
    provider: str = Field(description="`gemini`, `vertex` or `openai:<base url>`; part of every call's key")
    medium: ModelSpec
    large: ModelSpec
    judge: JudgeSpec
    prompt_versions: tuple[str, ...] = Field(default_factory=lambda: PROMPT_VERSIONS, description="of all prompts")

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that may be asked, each once."""
        judges = (self.judge.first, self.judge.second, self.judge.third)
        named = (self.medium, self.large, *(judge for judge in judges if judge is not None))
        return tuple(dict.fromkeys(spec.model for spec in named))

    @property
    def facts(self) -> dict[str, str]:
        """What a reader of the labels must know."""
        judge = self.judge
        others = [spec.model for spec in (judge.second, judge.third) if spec is not None]
        when = "always" if judge.always_second else f"below confidence {judge.below}"
        panel = f"; {when} also {' and '.join(others)}" if others else ""
        return {
            "Medium model": f"{self.medium.model} ({self.provider}, thinking {self.medium.thinking_level})",
            "Large model": f"{self.large.model} ({self.provider}, thinking {self.large.thinking_level})",
            "Judge": f"exact match of short answers, else {judge.first.model} ({judge.kind}){panel}",
        }


OracleSpec = Annotated[LocalOracle | ReplayOracle | ApiOracle, Field(discriminator="kind")]
