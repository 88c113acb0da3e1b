"""The error tree of storage.

Arguments are the facts; `__str__` is the sentence: what came, what is allowed, what to do.
`super().__init__` gets the same arguments, so every error survives pickling.
"""

from collections.abc import Iterable

from routecal.storage.plain_text import plain

# Faulty rows that a sentence names; the others are counted.
_NAMED = 5


class StorageError(Exception):
    """Root of everything storage raises on purpose; the command line turns it into one sentence and exit code 2."""


class ArtifactMissing(StorageError, FileNotFoundError):
    """An artifact is referred to, by a cached result or a manifest, but its file is gone."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.uri = uri

    def __str__(self) -> str:
        return (
            f"the artifact {self.uri} does not exist any more; if it was moved, set ROUTECAL_HOME to the folder that "
            "holds the artifacts now, else repeat the command that made it"
        )


class ArtifactCorrupt(StorageError, ValueError):
    """An artifact's bytes are not the ones that were written."""

    def __init__(self, uri: str, expected: str, found: str) -> None:
        super().__init__(uri, expected, found)
        self.uri, self.expected, self.found = uri, expected, found

    def __str__(self) -> str:
        return (
            f"the artifact {self.uri} has changed since it was written (sha256 {self.expected}, now {self.found}); "
            "re-run with --refresh to make it again"
        )


class WrongKind(StorageError, ValueError):
    """A file is named where an artifact of a kind is wanted, and is another, or none."""

    def __init__(self, uri: str, wanted: str, found: str | None) -> None:
        super().__init__(uri, wanted, found)
        self.uri, self.wanted, self.found = uri, wanted, found

    def __str__(self) -> str:
        what = f"holds {plain(self.found)}" if self.found else "is no artifact of ours"
        return (
            f"{plain(self.uri)} {what}, where {self.wanted} are wanted; name a file under {self.wanted}/ of "
            "ROUTECAL_HOME, or leave the option out: the newest is then taken"
        )


class SchemaMismatch(StorageError, ValueError):
    """A table does not fit the schema of its kind."""

    def __init__(self, kind: str, problems: Iterable[str]) -> None:
        problems = tuple(problems)
        super().__init__(kind, problems)
        self.kind, self.problems = kind, problems

    def __str__(self) -> str:
        return f"the table does not fit the schema {self.kind!r} of storage/schemas.py: {'; '.join(self.problems)}"


class UnknownName(StorageError, KeyError):
    """A kind of artifact, or an SQL query, that does not exist."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        known = tuple(sorted(known))
        super().__init__(what, name, known)
        self.what, self.name, self.known = what, name, known

    def __str__(self) -> str:
        return f"{self.name!r} is not a known {self.what}; choose one of {', '.join(self.known)}"


class HomeNotWritable(StorageError, PermissionError):
    """The place artifacts go to refuses them."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path} cannot be written to ({self.reason}); set ROUTECAL_HOME to a folder or URL that can"


class DiskFull(StorageError, OSError):
    """No space, or no quota, is left. Nothing half-written stays behind."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return (
            f"the disk of {self.path} is full; free some space, or point ROUTECAL_HOME at a larger disk, "
            "and run again: what was finished before is kept"
        )


class InputMissing(StorageError, FileNotFoundError):
    """A file the user named is not there."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"there is no file {plain(self.path)}; check the spelling and the folder you run from"


class InputEmpty(StorageError, ValueError):
    """A file the user named holds no rows."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"{plain(self.path)} holds no rows; give a file with at least one query"


class InputUnreadable(StorageError, ValueError):
    """A file the user named is there but cannot be read as what its name says."""

    def __init__(self, path: str, reason: str, remedy: str = "") -> None:
        super().__init__(path, reason, remedy)
        self.path, self.reason, self.remedy = path, reason, remedy

    def __str__(self) -> str:
        remedy = self.remedy or "check that the file is whole and its ending tells its format"
        return f"{plain(self.path)} cannot be read: {plain(self.reason)}; {plain(remedy)}"


class InputChanged(StorageError, ValueError):
    """A file the user named was written to, replaced or taken away while it was read."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return (
            f"{plain(self.path)} changed while it was read; write files under a name that begins with a dot, or "
            "elsewhere, and move them when they are finished"
        )


class BadRows(StorageError, ValueError):
    """Some rows of an input file cannot be used, so none is.

    Args:
        path: the file, as the user named it.
        n_rows: rows that it has, these included.
        faults: (line, or in Parquet row, from 1; what is wrong with it) of each, in order.
        unit: what the numbers count, `line` or `row`.
    """

    def __init__(self, path: str, n_rows: int, faults: Iterable[tuple[int, str]], unit: str = "line") -> None:
        faults = tuple(faults)
        super().__init__(path, n_rows, faults, unit)
        self.path, self.n_rows, self.faults, self.unit = path, n_rows, faults, unit

    def __str__(self) -> str:
        named = "; ".join(f"{self.unit} {line}: {plain(why, at_most=300)}" for line, why in self.faults[:_NAMED])
        more = f"; and {len(self.faults) - _NAMED} more" if len(self.faults) > _NAMED else ""
        what = "it" if len(self.faults) == 1 else "them"
        return (
            f"{plain(self.path)}: {len(self.faults)} of {self.n_rows} rows cannot be used: {named}{more}; "
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

    def __init__(
        self, path: str, column: str, present: Iterable[str], advice: str = "", several: Iterable[str] = ()
    ) -> None:
        present, several = tuple(present), tuple(several)
        super().__init__(path, column, present, advice, several)
        self.path, self.column, self.present, self.advice, self.several = path, column, present, advice, several

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
    """What should say which columns of a file are meant cannot be read."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(text, why)
        self.text, self.why = text, why

    def __str__(self) -> str:
        return f"--columns: {plain(self.why)}; write pairs as query=question,ground_truth=answer: our name = the file's"


class UnknownFormat(StorageError, ValueError):
    """A file's name does not end in a format that can be read."""

    def __init__(self, path: str, allowed: Iterable[str], remedy: str = "") -> None:
        allowed = tuple(allowed)
        super().__init__(path, allowed, remedy)
        self.path, self.allowed, self.remedy = path, allowed, remedy

    def __str__(self) -> str:
        remedy = f"{self.remedy}, or " if self.remedy else ""
        return (
            f"{plain(self.path)} does not end in a format that can be read; {remedy}use one of "
            f"{', '.join(self.allowed)}"
        )


class DuplicateRows(StorageError, ValueError):
    """A table that must hold one row per key holds several."""

    def __init__(self, what: str, column: str, value: str) -> None:
        super().__init__(what, column, value)
        self.what, self.column, self.value = what, column, value

    def __str__(self) -> str:
        value = plain(repr(self.value))
        return f"{self.what} has several rows with {self.column} = {value}; keep one row per {self.column}"


class NoOutcomeMatches(StorageError, ValueError):
    """No query has a recorded outcome, so a replay has nothing to replay."""

    def __init__(self, outcomes_path: str, n_queries: int) -> None:
        super().__init__(outcomes_path, n_queries)
        self.outcomes_path, self.n_queries = outcomes_path, n_queries

    def __str__(self) -> str:
        return (
            f"{plain(self.outcomes_path)} holds an outcome for none of the {self.n_queries} queries; outcomes are "
            "found by the text of the query: use outcomes recorded for these very queries"
        )


class RegistryCorrupt(StorageError, ValueError):
    """A file of the registry is damaged or was taken away."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(path, what)
        self.path, self.what = path, what

    def __str__(self) -> str:
        return (
            f"the registry is damaged at {self.path}: {self.what}; put the file back from a backup of its folder, or, "
            "if it is the last one, take it away: the decision before it is then in force"
        )


class RegistryNewer(StorageError, RuntimeError):
    """A later version of routecal wrote an entry of the registry, in a format that this one does not know."""

    def __init__(self, path: str, found: int, known: int) -> None:
        super().__init__(path, found, known)
        self.path, self.found, self.known = path, found, known

    def __str__(self) -> str:
        return (
            f"a newer routecal wrote {self.path} (format {self.found}, this one knows {self.known}); upgrade routecal "
            "here, or set ROUTECAL_HOME to other artifacts"
        )


class LockHeld(StorageError):
    """A lock is held by another process; `note` is what it says of itself."""

    def __init__(self, path: str, note: str) -> None:
        super().__init__(path, note)
        self.path, self.note = path, note

    def __str__(self) -> str:
        return f"another process holds {self.path} ({plain(self.note)}); wait until it has ended"


class RegistryChanged(StorageError, RuntimeError):
    """Another run or person decided about the champion while this one was deciding."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.uri = uri

    def __str__(self) -> str:
        return (
            f"another decision about the champion was written meanwhile ({self.uri}); nothing was changed: look at "
            "`routecal heads` and repeat"
        )
