"""What can be wrong with a file that the user names."""

from collections.abc import Sequence

from routecal.plain_text import plain
from routecal.storage.errors import StorageError

# Faulty rows that a sentence names; the others are counted.
_NAMED = 5


class InputMissing(StorageError, FileNotFoundError):
    """A file the user named is not there."""

    path: str
    sentence = "there is no file {path}; check the spelling and the folder you run from"


class InputEmpty(StorageError, ValueError):
    """A file the user named holds no rows."""

    path: str
    sentence = "{path} holds no rows; give a file with at least one query"


class InputUnreadable(StorageError, ValueError):
    """A file the user named is there but cannot be read as the format that its name says."""

    path: str
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        remedy = self.remedy or "check that the file is complete and that its name ends in its format"
        return f"{plain(self.path)} cannot be read: {plain(self.reason)}; {plain(remedy)}"


class InputChanged(StorageError, ValueError):
    """A file the user named was written to, replaced or removed while it was read."""

    path: str
    sentence = (
        "{path} changed while it was read; write files elsewhere, or under a name that begins with a dot, and move "
        "them when they are complete"
    )


class BadRows(StorageError, ValueError):
    """Some rows of an input file cannot be used, so none is.

    Args:
        path: the file, as the user named it.
        n_rows: rows that it has, these included.
        faults: (line, or in Parquet row, from 1; what is wrong with it) of the first, in order.
        unit: what the numbers count, `line` or `row`.
        n_faulty: lines (rows) that cannot be used; None where `faults` has them all.
    """

    path: str
    n_rows: int
    faults: Sequence[tuple[int, str]]
    unit: str = "line"
    n_faulty: int | None = None

    def __str__(self) -> str:
        named = "; ".join(f"{self.unit} {line}: {plain(why, at_most=300)}" for line, why in self.faults[:_NAMED])
        n = len(self.faults) if self.n_faulty is None else self.n_faulty
        more = f"; and {n - _NAMED} more" if n > _NAMED else ""
        what = "it" if n == 1 else "them"
        return (
            f"{plain(self.path)}: {n} of {self.n_rows} rows cannot be used: {named}{more}; "
            f"correct or remove {what}, nothing was read"
        )


class MissingColumn(StorageError, KeyError):
    """An input file lacks a column that is required, or has several that may be it.

    Args:
        path: the file, as the user named it.
        column: the name that was looked for.
        present: the columns that the file has.
        advice: options that would name the columns that are likely to be meant.
        several: the columns that may be it.
    """

    path: str
    column: str
    present: Sequence[str]
    advice: str = ""
    several: Sequence[str] = ()

    def __str__(self) -> str:
        if self.several:
            names = plain(", ".join(map(repr, self.several)))
            return f"{plain(self.path)} has several columns for {self.column!r}: {names}; rename or remove all but one"
        remedy = f"add {plain(self.advice)}, or rename" if self.advice else "rename"
        return (
            f"{plain(self.path)} has no column {self.column!r}, which is required; it has "
            f"{plain(', '.join(self.present)) or 'none'}: {remedy} the one that holds it to {self.column!r}"
        )


class WrongMapping(StorageError, ValueError):
    """The value of --columns cannot be read."""

    text: str
    why: str
    sentence = "--columns: {why}; write pairs OURS=YOURS, such as query=question,ground_truth=answer"


class UnknownFormat(StorageError, ValueError):
    """A file's name does not end in a format that can be read."""

    path: str
    allowed: Sequence[str]
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f"{self.remedy}, or " if self.remedy else ""
        return (
            f"{plain(self.path)} does not end in a format that can be read; {remedy}use one of "
            f"{', '.join(self.allowed)}"
        )


class NoOutcomeMatches(StorageError, ValueError):
    """No query has a recorded outcome, so a replay has nothing to replay."""

    outcomes_path: str
    n_queries: int
    sentence = (
        "{outcomes_path} holds an outcome for none of the {n_queries} queries; outcomes are matched by the text of the "
        "query: give outcomes that were recorded for these queries"
    )
