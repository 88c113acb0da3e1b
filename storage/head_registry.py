"""Which head serves: a history that is only ever added to, whose last entry is the pointer.

An entry is a file `<home>/registry/000012.json`, made whole under its number or not at all; two writers cannot make the
same one, so neither overwrites what the other decided. There is no second copy of the pointer that could disagree.
Entries are in the order of their numbers; no clock has a say.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Literal

from fsspec import AbstractFileSystem
from pydantic import BaseModel, Field, JsonValue

from routecal.storage.artifact import Artifact, within
from routecal.storage.create_once import create_once
from routecal.storage.errors import ArtifactMissing, RegistryCorrupt, RegistryNewer, StorageError
from routecal.storage.layout import Home
from routecal.storage.remote import is_there, names_in, resolve, store_errors

FOLDER = "registry"
# In an entry's lineage: what the candidate promises, in a sentence and whole; and what the night found against the head
# that served before, whose promise holds no more.
PROMISE, GUARANTEE, ALARM = "promise", "guarantee", "alarm"
# Of entries, the highest there is. It rises when an older version would misread them; what is only added, older
# versions pass over. Only alarms have 2: they came with version 0.3, and are no decision.
FORMAT, DECISION = 2, 1
_NAME = re.compile(r"(\d{6})\.json")

Action = Literal["promoted", "refused", "waiting", "rolled back", "alarm"]


class RegistryEntry(BaseModel, frozen=True):
    """One decision, or an alarm against the head that serves; and what is in force since."""

    format: int = Field(default=DECISION, description="see `FORMAT`; absent in version 0.1, which wrote 1")
    number: int = Field(ge=1, description="1, 2, 3 …")
    at: datetime = Field(description="UTC")
    action: Action
    champion: Artifact | None = Field(description="the calibrated router that serves from now on; None: none yet")
    candidate: Artifact | None = Field(default=None, description="what was decided about")
    reasons: tuple[str, ...] = Field(default=(), description="why, in sentences")
    run_id: str = Field(default="", description="of the run that decided")
    lineage: dict[str, JsonValue] = Field(default={}, description="digests of data, router and code; metrics")


def history(home: Home) -> list[RegistryEntry]:
    """All entries, oldest first.

    Raises:
        RegistryCorrupt: a file is not an entry, or a number is missing.
        RegistryNewer: a later version wrote an entry.
    """
    fs, paths = _files(home)
    return [_read(home, fs, path, number) for number, path in enumerate(paths, 1)]


def newest_entry(home: Home) -> RegistryEntry | None:
    """The last entry, whose champion is in force; None if nothing was decided yet. Reads one file.

    Raises:
        RegistryCorrupt: the file is not an entry, or a number is missing.
        RegistryNewer: a later version wrote it.
    """
    fs, paths = _files(home)
    return _read(home, fs, paths[-1], len(paths)) if paths else None


def champion(home: Home) -> Artifact | None:
    """The calibrated router that serves; None if none was promoted yet."""
    entry = newest_entry(home)
    return entry.champion if entry else None


def champions(entries: Sequence[RegistryEntry]) -> list[RegistryEntry]:
    """The entries that put another champion in force, oldest first."""
    found: list[RegistryEntry] = []
    for entry in entries:
        if entry.champion is not None and (not found or found[-1].champion != entry.champion):
            found.append(entry)
    return found


def alarm_against_champion(entries: Sequence[RegistryEntry]) -> str:
    """What a night found against the head that serves, since it was promoted; empty if nothing.

    A head that is put back brings the alarm along that was raised while it served.

    Args:
        entries: the whole registry, oldest first.
    """
    for before, entry in reversed(list(pairwise(entries))):
        is_about_it = before.champion is not None and before.champion == entries[-1].champion
        if is_about_it and ALARM in entry.lineage:
            return str(entry.lineage[ALARM])
        if entry.action == "promoted" and entry.champion == entries[-1].champion:
            break
    return ""


def append_entry(
    home: Home,
    action: Action,
    *,
    champion: Artifact | None,
    after: int,
    candidate: Artifact | None = None,
    reasons: Sequence[str] = (),
    run_id: str = "",
    lineage: Mapping[str, JsonValue] | None = None,
) -> RegistryEntry:
    """Add a decision to the history; it is in force when this returns.

    Args:
        home: where the registry lives.
        action: what was decided.
        champion: what serves from now on.
        after: number of the last entry that the decision was made upon; 0 if there was none.
        candidate, reasons, run_id, lineage: see `RegistryEntry`.

    Raises:
        ArtifactMissing: the champion's folder is not there.
        RegistryChanged: somebody else decided meanwhile; nothing was added.
        DiskFull, HomeNotWritable: it cannot be stored; nothing was added.
    """
    if champion is not None and not is_there(champion.uri):
        raise ArtifactMissing(champion.uri)
    entry = RegistryEntry(
        format=FORMAT if action == "alarm" else DECISION,
        number=after + 1,
        at=datetime.now(UTC),
        action=action,
        champion=champion,
        candidate=candidate,
        reasons=tuple(reasons),
        run_id=run_id,
        lineage={name: home.portable(value) for name, value in (lineage or {}).items()},
    )
    content = entry.model_dump_json(indent=2, context=within(home)).encode() + b"\n"
    create_once(f"{home.folder(FOLDER)}/{entry.number:06d}.json", content)
    return entry


def enter_alarm(home: Home, complaints: Sequence[str], *, after: RegistryEntry, run_id: str = "") -> RegistryEntry:
    """Enter what was found against the head that serves: from now on it decides without a guarantee.

    Nothing is entered that stands already.

    Args:
        home: where the registry lives.
        complaints: in sentences, at least one.
        after: the newest entry.
        run_id: of the run that found it.

    Returns:
        The entry that is the newest now.

    Raises:
        RegistryChanged: somebody decided since `after`; nothing was written.
    """
    standing = alarm_against_champion(history(home))
    if all(complaint in standing for complaint in complaints):
        return after
    said = {ALARM: "; ".join(complaints)}
    return append_entry(home, "alarm", champion=after.champion, after=after.number, run_id=run_id, lineage=said)


def _files(home: Home) -> tuple[AbstractFileSystem, list[str]]:
    """The entries' files, by number."""
    fs, _ = resolve(home.folder(FOLDER))
    return fs, [path for path in names_in(home.folder(FOLDER)) if _NAME.fullmatch(path.rpartition("/")[2])]


def _read(home: Home, fs: AbstractFileSystem, path: str, number: int) -> RegistryEntry:
    try:
        with store_errors(home.root):
            content = fs.cat_file(path)
        found = json.loads(content)
        # Before the rest, which a later version may have made otherwise.
        if isinstance(found, dict) and isinstance(found.get("format"), int) and found["format"] > FORMAT:
            raise RegistryNewer(path, found["format"], FORMAT)
        entry = RegistryEntry.model_validate(found, context=within(home))
    except StorageError:
        raise
    except ValueError as error:  # of pydantic, of JSON and of UTF-8
        raise RegistryCorrupt(path, "it is not an entry") from error
    except OSError as error:
        raise RegistryCorrupt(path, f"it cannot be read ({error.strerror or error})") from error
    if entry.number != number or not path.endswith(f"{number:06d}.json"):
        raise RegistryCorrupt(path, f"entry {number} was expected here")
    return entry
