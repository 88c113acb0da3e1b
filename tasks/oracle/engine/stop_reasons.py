"""Why labelling stops before it is done, in words that say how to go on."""

from routecal.tasks.errors import TaskError


class Interrupted(TaskError):
    """Somebody asked the run to stop."""

    by: str
    sentence = "stopped by {by}; finished answers are stored: run the same command again to continue"


class OracleRefused(TaskError):
    """The provider refuses every call alike."""

    model: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.model} refuses: {self.message.rstrip('.')}; {self.hint}"


class NoCompletion(OracleRefused):
    """The address answers, but no model server does, or one that speaks another protocol."""

    def __str__(self) -> str:
        return f"what answers in place of {self.model} is no model: {self.message}; {self.hint}; nothing was charged"


class BrokenReplies(TaskError):
    """A model sends replies that hold no answer, call after call."""

    model: str
    n: int
    last: str
    hint: str
    sentence = (
        "{n} calls to {model} in a row brought a reply that is no answer (the last: {last}); {hint}; finished answers "
        "are stored, and the same command again asks for the others only"
    )


class AllSilent(TaskError):
    """The first answers of a model were all empty."""

    model: str
    n: int
    advice: str
    sentence = (
        "the first {n} answers of {model} are all empty: {advice}; they are in the ledger as attempts, and the same "
        "command again asks for them once more"
    )


class JudgeUnreadable(TaskError):
    """None of the first replies of a judge held a grade."""

    model: str
    n: int
    last: str
    sentence = (
        "none of the first {n} replies of the judge {model} can be read as a grade (the last: {last}); try another "
        "--judge-json, --judge-thinking none, a larger --max-output-tokens or another --judge-model; finished answers "
        "are stored, and the same command again asks the judge once more"
    )


class BatchNotServed(TaskError, ValueError):
    """Batch jobs were asked for where there are none."""

    provider: str

    def __str__(self) -> str:
        why = (
            "Vertex AI takes batch jobs through a Google Cloud Storage bucket, which is not supported"
            if self.provider == "vertex"
            else f"{self.provider} has none that are supported"
        )
        return (
            f"there is no batch backend here: {why}; "
            "use the Gemini Developer API (an API key, without --vertex), or --backend flex or online"
        )


class NoAnswers(TaskError):
    """Nothing comes back from a model, call after call."""

    model: str
    n: int
    last: str
    sentence = (
        "{model} did not answer {n} calls in a row, each tried several times (last: {last}); finished answers are "
        "stored: check the provider's status and your network, then run the same command again"
    )


class NotPaidYet(TaskError):
    """The ledger has no response to this call, and none may be asked for."""

    key: str

    def __str__(self) -> str:
        return f"the ledger has no response to the call {self.key[:16]}; label without --finished-only to ask for it"


class ShardIncomplete(TaskError):
    """Some queries of a shard got no answer, though they might another time."""

    n: int
    first: str
    sentence = (
        "{n} queries could not be answered after several tries (first: {first}); the others are stored: run the same "
        "command again to ask for these only"
    )


class LabellingStopped(TaskError):
    """A run that ended before its queries were labelled. Nothing that was answered is lost.

    Args:
        reason: the sentence of the error that stopped it.
        cause: that error's class.
        labelled: queries with a label, in the partial labels that the run recorded.
        rows: queries in all.
        resume_at: ISO 8601 time with zone; trying again before it is of no use. None where there is no such time.
    """

    reason: str
    cause: str
    labelled: int
    rows: int
    resume_at: str | None = None

    def __str__(self) -> str:
        if not self.labelled:
            return self.reason
        usable = f"{self.labelled} of {self.rows} queries are labelled and can be used as they are"
        return f"{self.reason} ({usable})"
