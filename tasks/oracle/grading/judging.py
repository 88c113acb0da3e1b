"""What judging is made of: which models judge and when, the votes they cast, and the verdict on an answer."""

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self

from pydantic import BaseModel, Field, model_validator

from routecal.calib.policy import Grade
from routecal.tasks.oracle.call import Call, Reply

Seat = Literal["first", "second", "third"]

# A JSON schema, JSON of any kind, or the words of the prompt alone: servers know the one or the other.
JudgeForm = Literal["schema", "object", "prompt"]


class Ask(Protocol):
    """Puts one call to the provider, or finds its response in the ledger; raises Fault."""

    async def __call__(self, call: Call, *, anew: bool = False) -> Reply:
        """The reply; `anew` has one that an earlier run bought asked for again."""
        ...


class ModelSpec(BaseModel, frozen=True):
    """A model and how it is asked."""

    model: str = Field(min_length=1, description="as the provider spells it")
    thinking_level: Literal["minimal", "low", "medium", "high"] | None = Field(
        default="low", description="None sends none, for models that take none"
    )
    max_output_tokens: int = Field(
        default=4096, ge=1, description="thinking included, so a small cap buys empty answers"
    )


class JudgeSpec(BaseModel, frozen=True):
    """Who judges an answer, and when more than one must."""

    kind: Literal["model", "decision"] = Field(
        default="model", description="the first judge writes its grade, or chooses it through the decisions endpoint"
    )
    first: ModelSpec = Field(description="for `decision`, only its model name matters")
    second: ModelSpec | None = Field(default=None, description="judges by other words of the same rules")
    third: ModelSpec | None = Field(default=None, description="breaks the tie")
    below: float | None = Field(
        default=None, ge=0, le=1, description="a first vote under this confidence, or without one, needs a second"
    )
    always_second: bool = Field(default=False, description="no grade without two judges who agree")
    # Left out of what names a job where it is the default: jobs of earlier versions keep their names, and budgets.
    form: JudgeForm = Field(
        default="schema", exclude_if=lambda form: form == "schema", description="what holds judges that write to JSON"
    )

    @model_validator(mode="after")
    def _everyone_is_there(self) -> Self:
        if self.second is None and (self.third is not None or self.below is not None or self.always_second):
            raise ValueError("name a second judge, or leave out the third, `below` and `always_second`")
        return self


@dataclass(frozen=True, slots=True)
class Vote:
    """One judgement that was asked for.

    Attributes:
        judge: model that was asked.
        seat: as which judge; a seat asked again has two votes, and the later one is its word.
        prompt_version: of the judge's prompt.
        grade: None for a JUDGE_ERROR: nothing that can be read as a grade.
        confidence: in [0, 1]; None if the judge named none.
        model_version: the model that answered, as it says itself.
        key: of the call, by which the ledger knows it.
        raw: what the judge said; None if nothing.
        problem: why there is no grade: `unreadable`, `empty`, `truncated`, `blocked:<REASON>`, `refused: <words>`
            (the provider does not take the request), `broken: <words>` (what came is no answer).
        earlier: the reply is of an earlier run.
    """

    judge: str
    seat: Seat
    prompt_version: str
    grade: Grade | None
    confidence: float | None
    model_version: str | None
    key: str
    raw: str | None
    problem: str | None = None
    earlier: bool = field(default=False, compare=False)

    @property
    def facts(self) -> dict[str, Any]:
        """Plain JSON, as the `labels` table stores it."""
        return {
            "judge": self.judge,
            "seat": self.seat,
            "prompt_version": self.prompt_version,
            "grade": self.grade and self.grade.value,
            "confidence": self.confidence,
            "model_version": self.model_version,
            "call": self.key,
            "raw": self.raw,
            "problem": self.problem,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is held of one answer.

    Attributes:
        grade: None if the judges did not settle on one; such an answer has no label.
        judge: `exact`, `abstained` or `no answer` where a rule decided; else the models that were asked, ` + ` between;
            `nobody` if there was nothing to judge by.
        confidence: the lowest among the votes for `grade`; None if a rule decided or no judge named one.
        votes: all that were asked for, in order.
        reason: for a rule, what there was instead of an answer: `empty`, `truncated`, `blocked:<REASON>`. For judges,
            `majority` if one was outvoted; with no grade `judge error`, `judges disagree`, `unconfirmed` or
            `no ground truth`.
        uncertain: judges disagreed, or no grade could be settled on.
    """

    grade: Grade | None
    judge: str
    confidence: float | None = None
    votes: tuple[Vote, ...] = ()
    reason: str | None = None
    uncertain: bool = False
