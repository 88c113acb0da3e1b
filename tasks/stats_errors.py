"""The errors of statistics: what was found, what is allowed, what to do."""

from collections.abc import Sequence

from routecal.tasks.errors import TaskError


class NotAnOption(TaskError, ValueError):
    """A statistic is given an option that it does not read, which would change nothing."""

    statistic: str
    option: str
    taken: Sequence[str]

    def __str__(self) -> str:
        taken = f"it takes {', '.join(self.taken)}" if self.taken else "it takes none"
        return f"{self.statistic} does not read {self.option}: {taken}; leave {self.option} out"


class OneWindow(TaskError, ValueError):
    """There is nothing that a window could be held against."""

    found: str
    remedy: str
    sentence = "drift is between two windows, and there {found}; {remedy}"
