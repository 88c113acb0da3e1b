"""What somebody says of a served decision: was the answer right, or what became of it."""

import hashlib
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from routecal.deployments.router_service.refusals import Refused
from routecal.deployments.router_service.service import Service
from routecal.storage.errors import StorageError


class Feedback(BaseModel):
    """One word on one decision; at least one of correct, score, label and outcome."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision_id: str = Field(pattern="^[0-9a-f]{32}$")
    about: Literal["served", "medium", "large"] = Field(default="served", description="whose answer")
    correct: bool | None = None
    score: float | None = Field(default=None, ge=0, le=1)
    label: Literal["CORRECT", "INCORRECT", "NOT_ATTEMPTED"] | None = None
    outcome: str | None = Field(default=None, max_length=200, description="what became of it later, in your words")
    reason: str | None = Field(default=None, max_length=2000)

    @model_validator(mode="after")
    def _says_something(self) -> "Feedback":
        if self.correct is None and self.score is None and self.label is None and self.outcome is None:
            raise ValueError("give correct, score, label or outcome")
        if self.label is not None and self.correct is not None and self.correct != (self.label == "CORRECT"):
            raise ValueError("correct and label contradict each other")
        return self

    def id(self, source: str) -> str:
        """The same for the same word of the same source."""
        said = self.model_dump_json(exclude={"reason"})
        return hashlib.sha256(f"{source}\0{said}".encode()).hexdigest()[:32]


def take_feedback(service: Service, said: Feedback, client: str | None) -> dict[str, Any]:
    """Write a word down, once.

    Args:
        service: whose decision it is about.
        said: by the request.
        client: who the key belongs to: the source of a word is never what the request calls itself.

    Raises:
        Refused: no such decision; or it cannot be written.
    """
    source = client or "local"
    feedback_id = said.id(source)
    if not service.known.has_decision(said.decision_id):
        raise Refused(404, f"no decision {said.decision_id} was served from this log", param="decision_id")
    if service.known.has_feedback(feedback_id):
        return {"feedback_id": feedback_id, "duplicate": True}
    row = {"feedback_id": feedback_id, "at": datetime.now(UTC), "source": source, **said.model_dump()}
    try:
        service.log.heard(row)
    except (StorageError, OSError) as error:
        raise Refused(503, f"the feedback is not stored: {error}; send it again later") from error
    service.known.add_feedback(feedback_id)
    service.watcher.heard()
    service.counts.feedback.labels(said.about).inc()
    return {"feedback_id": feedback_id, "duplicate": False}
