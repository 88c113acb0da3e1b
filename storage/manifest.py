"""What a run made: `<home>/runs/<run_id>.json`, so that a later command finds the newest labels without being told."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from storage.artifact import Artifact, within
from storage.atomic import resolve, write_chunks
from storage.layout import Home

log = logging.getLogger(__name__)


class Manifest(BaseModel):
    """The artifacts of one run by name, and the plain facts worth keeping beside them."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    written_at: datetime = Field(description="UTC")
    artifacts: dict[str, Artifact]
    facts: dict[str, JsonValue]

    def of_kind(self, kind: str) -> tuple[Artifact, ...]:
        """The run's artifacts of one kind, in the order they were given."""
        return tuple(a for a in self.artifacts.values() if a.kind == kind)


def write_manifest(home: Home, run_id: str, entries: Mapping[str, Artifact | JsonValue]) -> str:
    """Store what a run made, atomically, replacing the manifest of the same run; return its URI.

    Raises:
        ValueError: `run_id` is not a plain file name.
        DiskFull, HomeNotWritable: it cannot be stored.
    """
    if not re.fullmatch(r"\w[\w.-]*", run_id, re.ASCII):
        raise ValueError(f"run_id {run_id!r} must consist of letters, digits, '_', '-' and '.', not starting with '.'")
    manifest = Manifest(
        run_id=run_id,
        written_at=datetime.now(UTC),
        artifacts={k: v for k, v in entries.items() if isinstance(v, Artifact)},
        facts={k: home.portable(v) for k, v in entries.items() if not isinstance(v, Artifact)},
    )
    uri = f"{home.folder('runs')}/{run_id}.json"
    write_chunks(uri, [manifest.model_dump_json(indent=2, context=within(home)).encode(), b"\n"])
    return uri


def latest_manifest(home: Home, kind: str, *, name: str | None = None) -> Manifest | None:
    """The newest manifest, by the time written in it, that holds an artifact of `kind` (under `name`, if given).

    None if there is none.
    """
    return _newest(home, lambda key, artifact: artifact.kind == kind and name in (None, key))


def manifests(home: Home, flow: str) -> list[Manifest]:
    """All manifests of a flow's runs, by the time written in them, oldest first."""
    found = (m for m in _all(home) if m.run_id.startswith(f"{flow}-"))
    return sorted(found, key=lambda m: (m.written_at, m.run_id))


def manifest_of(home: Home, artifact: Artifact) -> Manifest | None:
    """The newest manifest that holds this very artifact, wherever it was found; None if there is none."""
    return _newest(home, lambda _, other: (other.kind, other.sha256) == (artifact.kind, artifact.sha256))


def _newest(home: Home, is_wanted: Callable[[str, Artifact], bool]) -> Manifest | None:
    found = (m for m in _all(home) if any(is_wanted(key, artifact) for key, artifact in m.artifacts.items()))
    return max(found, key=lambda m: (m.written_at, m.run_id), default=None)


def _all(home: Home) -> Iterator[Manifest]:
    fs, folder = resolve(home.folder("runs"))
    # Another process may have written since this one last listed the folder.
    fs.invalidate_cache()
    for path in fs.ls(folder, detail=False) if fs.isdir(folder) else ():
        if not path.endswith(".json"):
            continue
        try:
            yield Manifest.model_validate_json(fs.cat_file(path), context=within(home))
        except ValidationError:
            log.warning("%s is not a run manifest; it is passed over", path)
