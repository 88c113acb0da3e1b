"""Which candidates still wait for a person, by the entries of the registry alone."""

from collections.abc import Sequence

from routecal.storage.artifact import Artifact
from routecal.storage.head_registry import RegistryEntry


def decided_since(entry: RegistryEntry, entries: Sequence[RegistryEntry]) -> RegistryEntry | None:
    """The first later entry that decides about the candidate of this one, or puts another head in force; None if none.

    Args:
        entry: whose candidate waits.
        entries: the whole registry, oldest first.
    """
    later = entries[entry.number :]
    return next((e for e in later if is_same(e.candidate, entry.candidate) or not _serves_on(entry, e)), None)


def waiting(entries: Sequence[RegistryEntry]) -> list[RegistryEntry]:
    """The entries whose candidates a person can still promote without overruling anybody, oldest first.

    Args:
        entries: the whole registry, oldest first.
    """
    return [e for e in entries if e.action == "waiting" and decided_since(e, entries) is None]


def _serves_on(before: RegistryEntry, after: RegistryEntry) -> bool:
    if before.champion is None:
        return after.champion is None
    return is_same(before.champion, after.champion)


def is_same(one: Artifact | None, other: Artifact | None) -> bool:
    """Whether both are there and have the same content."""
    return one is not None and other is not None and one.sha256 == other.sha256
