"""What every format is read into: what a log says of itself, and its samples one after the other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from routecal.storage.eval_logs.errors import ChoiceNeeded


class Sample(NamedTuple):
    """One answer of one model to one question, graded.

    Attributes:
        place: where it stands, as a sentence names it: `line 17`, `samples/3_epoch_1.json`.
        id: the log's own name of the question; None if it has none.
        query: what was asked, without what the tool put around it.
        score: as the log has it: a number, true or false, or a letter or word of `grades.LETTERS`; None: not scored.
        error: why there is no answer; None: there is one.
        repeat: 0 of the first answer to the question, and so on.
    """

    place: str
    id: str | None
    query: str
    score: object
    error: str | None = None
    repeat: int = 0
    target: str | None = None
    topic: str | None = None
    answer: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_usd: float | None = None


# What a table may have: a sample's fields, and what is said once of a log elsewhere.
TABLE_COLUMNS = (*(name for name in Sample._fields if name != "place"), "model", "task")


@dataclass(frozen=True)
class EvalLog:
    """One model's answers to one task.

    Attributes:
        path: the file or folder, as the user named it.
        tool: who wrote it, with the version where it is stated.
        model: its name; None where the log does not say.
        task: as the log names it; None where it does not say.
        scorer: which score was read; None where there is one without a name.
        samples: of every repeat, as they are read; errors of a sample rise when it is reached.
    """

    path: str
    tool: str
    model: str | None
    task: str | None
    scorer: str | None
    samples: Iterator[Sample]


class Choice(NamedTuple):
    """What the user said about a log that holds more than one thing.

    Attributes:
        model: which model's answers; None: the log has one.
        scorer: which score; None: the log has one.
        query_field: the field of a sample that holds the question; None: the usual names.
        columns: our name of a table's column -> the table's.
    """

    model: str | None = None
    scorer: str | None = None
    query_field: str | None = None
    columns: Mapping[str, str] = MappingProxyType({})

    def model_of(self, path: str, names: Sequence[str]) -> str | None:
        """Whose answers are read of a log that holds these models; what the user says where it names none.

        Raises:
            ChoiceNeeded: there are several and none was named, or one that is not there.
        """
        if not names:
            return self.model
        return _one_of(path, "models", names, "--medium-model or --large-model", self.model)

    def scorer_of(self, path: str, names: Sequence[str]) -> str:
        """Which of these scores is read; errors as `model_of`."""
        return _one_of(path, "scores", names, "--scorer", self.scorer)


def _one_of(path: str, what: str, names: Sequence[str], option: str, named: str | None) -> str:
    if named is None and len(names) == 1:
        return names[0]
    if named is None or named not in names:
        raise ChoiceNeeded(path, what, names, option, named)
    return named
