"""What the oracles behind an API have in common: two models that answer, and judges of their answers."""

from typing import Any

from pydantic import BaseModel, Field

from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec
from routecal.tasks.oracle.oracle_spec import OracleSpec
from routecal.tasks.oracle.prompt_files import version

# Models that answer and grade unless others are named, of Gemini.
MEDIUM, LARGE, DECISION = "gemini-3.8-flash", "gemini-4-argon", "gemini-decision-1"

# How sure a lone judge must be where there is a second one to ask.
UNSURE_BELOW = 0.7

# Options that each of them reads. What paces and bounds them is left out: it harms nobody where nothing is asked.
OPTIONS = (
    *("medium_model", "large_model", "judge", "judge_model", "second_judge", "third_judge"),
    *("base_url", "finished_only", "backend", "judge_json"),
)

# Of everything an API oracle is asked with, so that a new wording makes new labels.
PROMPT_VERSIONS = tuple(version(n) for n in ("answer_system", "judge_system", "judge", "judge_second", "decision"))


class ApiOracle(OracleSpec):
    """Two models behind an API, and the judges of their answers."""

    provider: str = Field(description="`gemini`, `vertex` or `openai:<base url>`; part of every call's key")
    medium: ModelSpec
    large: ModelSpec
    judge: JudgeSpec
    prompt_versions: tuple[str, ...] = Field(default_factory=lambda: PROMPT_VERSIONS, description="of all prompts")

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


class ApiJudges(BaseModel, frozen=True):
    """Judges behind an API, for answers that are there already: everything that decides the new grades."""

    kind: str
    provider: str = Field(description="`gemini`, `vertex` or `openai:<base url>`; part of every call's key")
    judge: JudgeSpec
    prompt_versions: tuple[str, ...] = Field(description="of the judges' prompts")


def api_oracle(params: Any, provider: str, *, medium: str, large: str) -> ApiOracle:
    """The oracle that the parameters of a form describe, with the models that answer."""

    def answers(model: str, level: str) -> ModelSpec:
        return ModelSpec(model=model, thinking_level=_level(level), max_output_tokens=params.max_output_tokens)

    return ApiOracle(
        kind=params.oracle,
        provider=provider,
        medium=answers(medium, params.medium_thinking),
        large=answers(large, params.large_thinking),
        judge=judge_of(params, medium),
    )


def judge_of(params: Any, medium: str) -> JudgeSpec:
    """The judges that the parameters of a form describe; without a name the medium model judges."""

    def seat(model: str) -> ModelSpec:
        level = _level(params.judge_thinking)
        return ModelSpec(model=model, thinking_level=level, max_output_tokens=params.max_output_tokens)

    below = params.judge_below
    if below is None and params.second_judge is not None:
        below = UNSURE_BELOW
    return JudgeSpec(
        kind=params.judge,
        first=seat(params.judge_model or (DECISION if params.judge == "decision" else medium)),
        second=seat(params.second_judge) if params.second_judge else None,
        third=seat(params.third_judge) if params.third_judge else None,
        below=below,
        always_second=params.always_second,
        form=params.judge_json,
    )


def stored_secret(block: str) -> str | None:
    """What a Prefect Secret block holds, if there is one of that name."""
    from prefect.blocks.system import Secret

    try:
        secret: Any = Secret.load(block)
        return str(secret.get()).strip() or None
    except ValueError:
        return None


def _level(level: str) -> Any:
    return None if level == "none" else level
