"""The errors of storage: what was found, what is allowed, what to do."""

from collections.abc import Sequence

from routecal.plain_text import plain
from routecal.root_error import RoutecalError, UnknownChoice


class StorageError(RoutecalError):
    """Root of everything storage raises on purpose."""


class ArtifactMissing(StorageError, FileNotFoundError):
    """A cached result or a manifest refers to an artifact whose file is gone."""

    uri: str
    sentence = (
        "the artifact {uri} does not exist any more; if it was moved, set ROUTECAL_HOME to the folder that holds the "
        "artifacts now, otherwise repeat the command that made it"
    )


class ArtifactCorrupt(StorageError, ValueError):
    """An artifact's bytes are not the ones that were written."""

    uri: str
    expected: str
    found: str
    sentence = (
        "the artifact {uri} has changed since it was written (sha256 {expected}, now {found}); run again with "
        "--refresh to recompute it"
    )


class WrongKind(StorageError, ValueError):
    """A file is named where an artifact of a kind is wanted, and is another, or none."""

    uri: str
    wanted: str
    found: str | None

    def __str__(self) -> str:
        what = f"holds {plain(self.found)}" if self.found else "is not an artifact that routecal wrote"
        return (
            f"{plain(self.uri)} {what}, where {self.wanted} are wanted; name a file under {self.wanted}/ of "
            "ROUTECAL_HOME, or leave the option out to use the newest"
        )


class SchemaMismatch(StorageError, ValueError):
    """A table does not fit the schema of its kind."""

    kind: str
    problems: Sequence[str]

    def __str__(self) -> str:
        return f"the table does not fit the schema {self.kind!r} of storage/schemas.py: {'; '.join(self.problems)}"


class UnknownName(UnknownChoice, StorageError):
    """A kind of artifact, or an SQL query, that does not exist."""


class HomeNotWritable(StorageError, PermissionError):
    """The place artifacts go to refuses them."""

    path: str
    reason: str
    sentence = "{path} cannot be written to ({reason}); set ROUTECAL_HOME to a folder or URL that can"


class DiskFull(StorageError, OSError):
    """No space, or no quota, is left. Nothing half-written stays behind."""

    path: str
    sentence = (
        "the disk of {path} is full; free some space, or set ROUTECAL_HOME to a larger disk, and run again: what was "
        "finished before is kept"
    )


class DuplicateRows(StorageError, ValueError):
    """A table that must hold one row per key holds several."""

    what: str
    column: str
    value: str
    sentence = "{what} has several rows with {column} = {value!r}; keep one row per {column}"


class RegistryCorrupt(StorageError, ValueError):
    """A file of the registry is damaged or was removed."""

    path: str
    what: str
    sentence = (
        "the registry is damaged at {path}: {what}; restore the file from a backup of its folder, or, if it is the "
        "last one, remove it: the decision before it is then in force"
    )


class RegistryNewer(StorageError, RuntimeError):
    """A later version of routecal wrote an entry of the registry, in a format that this one does not know."""

    path: str
    found: int
    known: int
    sentence = (
        "a newer routecal wrote {path} (format {found}, this one reads {known}); upgrade routecal here, or set "
        "ROUTECAL_HOME to other artifacts"
    )


class LockHeld(StorageError):
    """A lock is held by another process; `note` is what that process wrote into it."""

    path: str
    note: str
    sentence = "another process holds {path} ({note}); wait until it has ended"


class RegistryChanged(StorageError, RuntimeError):
    """Another run or person decided about the champion while this one was deciding."""

    uri: str
    sentence = (
        "another decision about the champion was written at the same time ({uri}), so nothing was changed; look at "
        "`routecal heads` and repeat"
    )
