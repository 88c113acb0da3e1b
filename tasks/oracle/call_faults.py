"""What can go wrong with one call, by what must be done about it."""

from enum import StrEnum

from routecal.tasks.errors import TaskError


class FaultKind(StrEnum):
    """The rows of the retry table."""

    FATAL = "fatal"  # every call would fail: stop the run, say what to put right
    DAY_QUOTA = "day quota"  # this model is spent until the quota resets
    RATE = "rate"  # too fast: all calls to this model wait, then again
    TRANSIENT = "transient"  # bad luck: this call again, later
    ROW = "row"  # this request will never be taken; the others are fine
    BROKEN = "broken"  # a reply came, but is no answer: this call once more, then it is that row's trouble


class Fault(TaskError):
    """A call that brought no usable response. Picklable, and without the provider's own objects.

    Args:
        kind: what to do.
        code: HTTP status, or 0 where there was none.
        message: the provider's words, shortened, secrets removed.
        retry_after_s: how long the provider asks to wait, if it says.
        maybe_billed: the request may have been served although nothing usable came back (time-outs, cut bodies).
        hint: for FATAL, and for BROKEN where every reply is: a clause on what to do.
        body: what was received, where something was.
    """

    kind: FaultKind
    code: int
    message: str
    retry_after_s: float | None = None
    maybe_billed: bool = False
    hint: str = ""
    body: str = ""

    def __str__(self) -> str:
        said = f"{self.message} (HTTP {self.code})" if self.code else self.message
        return f"{said}; {self.hint}" if self.hint else said
