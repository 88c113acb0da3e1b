"""What a run made: `<home>/runs/<run_id>.json`, so that a later command finds the newest labels without being told."""

import logging
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from pydantic import BaseModel, Field, JsonValue, ValidationError

from routecal.storage.artifact import Artifact, within
from routecal.storage.atomic import write_chunks
from routecal.storage.layout import Home
from routecal.storage.remote import names_in, resolve, store_errors

log = logging.getLogger(__name__)


class Manifest(BaseModel, frozen=True):
    """The artifacts of one run by name, and the plain facts worth keeping beside them."""

    run_id: str
    written_at: datetime = Field(description="UTC")
    artifacts: dict[str, Artifact]
    facts: dict[str, JsonValue]

    def of_kind(self, kind: str) -> tuple[Artifact, ...]:
        """The run's artifacts of one kind, in the order they were given."""
        return tuple(a for a in self.artifacts.values() if a.kind == kind)

    def main(self, kind: str) -> Artifact | None:
        """The run's artifact of one kind that later steps may go by; None if there is none.

        It has the kind for its name. What lies beside it under another name is not offered: of a night's examples the
        held-out ones, of a router's labels those that trained it. Heads have names of their own: the last is the one.
        """
        if kind == "heads":
            return next(iter(self.of_kind(kind)[::-1]), None)
        found = self.artifacts.get(kind)
        return found if found is not None and found.kind == kind else None


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


def latest_manifest(home: Home, *kinds: str, name: str | None = None) -> Manifest | None:
    """The newest manifest that holds a main artifact of each of `kinds`, or with `name`, one of them under that name.

    None if there is none.
    """

    def holds(manifest: Manifest, kind: str) -> bool:
        named = manifest.main(kind) if name is None else manifest.artifacts.get(name)
        return named is not None and named.kind == kind

    return next((m for m in newest_first(home) if all(holds(m, kind) for kind in kinds)), None)


def newest_first(home: Home) -> list[Manifest]:
    """Every manifest, by the time written in it."""
    return sorted(_all(home), key=lambda m: (m.written_at, m.run_id), reverse=True)


def manifests(home: Home, flow: str) -> list[Manifest]:
    """All manifests of a flow's runs, by the time written in them, oldest first."""
    return [m for m in reversed(newest_first(home)) if m.run_id.startswith(f"{flow}-")]


def manifest_of(home: Home, artifact: Artifact) -> Manifest | None:
    """The newest manifest that holds this very artifact, wherever it was found; None if there is none."""
    return next((m for m in newest_first(home) if artifact in m.artifacts.values()), None)


def _all(home: Home) -> Iterator[Manifest]:
    folder = home.folder("runs")
    fs, _ = resolve(folder)
    for path in names_in(folder):
        if not path.endswith(".json"):
            continue
        with store_errors(folder):
            content = fs.cat_file(path)
        try:
            yield Manifest.model_validate_json(content, context=within(home))
        except ValidationError:
            log.warning("%s is not a run manifest; it is passed over", path)
