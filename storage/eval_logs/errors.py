"""What can be wrong with evaluation logs, each a sentence with what to do."""

from collections.abc import Sequence

from routecal.plain_text import plain
from routecal.storage.errors import StorageError


class LogUnreadable(StorageError, ValueError):
    """A file or folder is no log of the tool it was said to be of, or is damaged."""

    path: str
    tool: str
    reason: str
    remedy: str = "check that the file is complete, and that --from names the tool that wrote it"
    sentence = "{path} cannot be read as a log of {tool}: {reason}; {remedy}"


class LogUnfinished(StorageError, ValueError):
    """A log is still being written, or its evaluation was broken off."""

    path: str
    reason: str
    sentence = "{path} is not finished: {reason}; wait until the evaluation has ended, or run it again"


class ChoiceNeeded(StorageError, ValueError):
    """A log holds several models, or several scores, and none was named, or one that is not there.

    Args:
        path: the log.
        what: `models` or `scores`.
        names: those there are.
        option: that names one.
        named: what was named; None: nothing.
    """

    path: str
    what: str
    names: Sequence[str]
    option: str
    named: str | None = None

    def __str__(self) -> str:
        listed = plain(", ".join(self.names), at_most=500) or "none"
        if self.named is not None:
            found = f"has no {plain(self.named)!r} among its {self.what} ({listed})"
        else:
            found = f"holds {len(self.names)} {self.what} ({listed})"
        return f"{plain(self.path)} {found}; name one with {self.option}"


class SampleUnusable(StorageError, ValueError):
    """A sample's score or text cannot be read."""

    path: str
    place: str
    reason: str
    remedy: str = "correct it in the log, or leave it out; nothing was written"
    sentence = "{path}, {place}: {reason}; {remedy}"


class LogsDiffer(StorageError, ValueError):
    """Two logs are not of two models on the same questions under the same scorer."""

    medium: str
    large: str
    reason: str
    remedy: str
    sentence = "{medium} and {large} cannot be joined: {reason}; {remedy}"


class RuleNeeded(StorageError, ValueError):
    """A score is neither right nor wrong, and nothing says from where on it is right."""

    path: str
    place: str
    score: str
    sentence = (
        "{path}, {place}: the score {score} is neither right nor wrong; say from which score on an answer is right, as "
        "in --right-at 0.5"
    )


class NothingGraded(StorageError, ValueError):
    """No sample of a log has both an answer and a score."""

    path: str
    n: int
    n_errors: int
    sentence = (
        "none of the {n} samples of {path} has a score ({n_errors} ended in an error); run the evaluation with a scorer"
    )
