"""Why labelling stops before it is done, in words that say how to go on."""

from routecal.tasks.errors import TaskError


class Interrupted(TaskError):
    """Somebody asked the run to stop."""

    def __init__(self, by: str) -> None:
        super().__init__(by)
        self.by = by

    def __str__(self) -> str:
        return f"stopped by {self.by}; what is answered is stored: run the same again to go on where it stopped"


class OracleRefused(TaskError):
    """The provider refuses every call alike."""

    def __init__(self, model: str, message: str, hint: str) -> None:
        super().__init__(model, message, hint)
        self.model, self.message, self.hint = model, message, hint

    def __str__(self) -> str:
        return f"{self.model} refuses: {self.message.rstrip('.')}; {self.hint}"


class NoCompletion(OracleRefused):
    """What answers is no model server, or speaks another protocol."""

    def __str__(self) -> str:
        return f"what answers in place of {self.model} is no model: {self.message}; {self.hint}; nothing was charged"


class BrokenReplies(TaskError):
    """A model sends replies that are no answers, call after call."""

    def __init__(self, model: str, n: int, last: str, hint: str) -> None:
        super().__init__(model, n, last, hint)
        self.model, self.n, self.last, self.hint = model, n, last, hint

    def __str__(self) -> str:
        return (
            f"{self.n} calls to {self.model} in a row brought a reply that is no answer (the last: {self.last}); "
            f"{self.hint}; what is answered is stored, and the same run again asks for the others alone"
        )


class AllSilent(TaskError):
    """The first answers of a model were all empty."""

    def __init__(self, model: str, n: int, advice: str) -> None:
        super().__init__(model, n, advice)
        self.model, self.n, self.advice = model, n, advice

    def __str__(self) -> str:
        return (
            f"the first {self.n} answers of {self.model} are all empty: {self.advice}; they are in the ledger as "
            "attempts, and the same run again asks for them anew"
        )


class JudgeUnreadable(TaskError):
    """The first replies of a judge held no grade, none of them."""

    def __init__(self, model: str, n: int, last: str) -> None:
        super().__init__(model, n, last)
        self.model, self.n, self.last = model, n, last

    def __str__(self) -> str:
        return (
            f"none of the first {self.n} replies of the judge {self.model} can be read as a grade (the last: "
            f"{self.last}); try another --judge-json, --judge-thinking none, a larger --max-output-tokens or another "
            "--judge-model; what is answered is stored, and the same run again asks the judge anew"
        )


class BatchNotServed(TaskError, ValueError):
    """Batch jobs were asked for where there are none."""

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.provider = provider

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

    def __init__(self, model: str, n: int, last: str) -> None:
        super().__init__(model, n, last)
        self.model, self.n, self.last = model, n, last

    def __str__(self) -> str:
        return (
            f"{self.model} did not answer {self.n} calls in a row, each tried several times (last: {self.last}); what "
            "is answered is stored: look at the provider's status and your network, then run the same again"
        )


class NotBought(TaskError):
    """The ledger has no response to this call, and none may be asked for."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"the ledger has no response to the call {self.key[:16]}; label without --finished-only to ask for it"


class ShardIncomplete(TaskError):
    """Some queries of a shard got no answer, though they might another time."""

    def __init__(self, n: int, first: str) -> None:
        super().__init__(n, first)
        self.n, self.first = n, first

    def __str__(self) -> str:
        return (
            f"{self.n} queries could not be answered after several tries (first: {self.first}); "
            "the others are stored: run the same again to ask for these alone"
        )


class LabellingStopped(TaskError):
    """A run that ended before its queries were labelled. Nothing that was answered is lost.

    Args:
        reason: the sentence of the error that stopped it.
        cause: that error's class.
        labelled: queries with a label, in the partial labels that the run recorded.
        rows: queries in all.
        resume_at: ISO 8601 time with zone before which going on is of no use, if there is one.
    """

    def __init__(self, reason: str, cause: str, labelled: int, rows: int, resume_at: str | None = None) -> None:
        super().__init__(reason, cause, labelled, rows, resume_at)
        self.reason, self.cause, self.labelled, self.rows, self.resume_at = reason, cause, labelled, rows, resume_at

    def __str__(self) -> str:
        if not self.labelled:
            return self.reason
        usable = f"{self.labelled} of {self.rows} queries are labelled and can be used as they are"
        return f"{self.reason} ({usable})"
