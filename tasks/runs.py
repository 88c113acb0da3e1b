"""Runs: their names, what they made, and the newest of a kind for steps that are not told."""

import shutil
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from prefect import runtime

from storage.artifact import Artifact
from storage.atomic import resolve, sweep
from storage.folder import local_folder
from storage.layout import Home
from storage.manifest import latest_manifest, manifest_of, write_manifest
from storage.refer import table_at
from tasks.errors import OptionMissing

# Which command makes what, for the sentence that says what to do.
_MADE_BY = {
    "queries": "run `routecal label` first, or name one",
    "labels": "run `routecal label` first, or name one",
    "features": "run `routecal extract` first, or name one",
    "examples": "run `routecal train` first",
    "predictions": "run `routecal evaluate` first",
    "heads": "run `routecal train` first, or name one",
}


def start(flow: str) -> str:
    """A name for this run that sorts by time; the home is checked, and tidied, before anything is spent.

    Raises:
        HomeNotWritable: the run could store nothing.
    """
    home = Home.from_env()
    home.check_writable()
    sweep(home.root)
    suffix = (runtime.flow_run.id or "0000")[-4:]
    return f"{flow}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{suffix}"


def record(run_id: str, **entries: Any) -> None:
    """Remember what a run made: artifacts by name, and plain facts."""
    write_manifest(Home.from_env(), run_id, entries)


def newest(kind: str, uri: str | None = None, *, name: str | None = None) -> Artifact:
    """The table at `uri`, else the newest artifact of its kind that a run recorded (under `name`, if given).

    Raises:
        OptionMissing: no run made one; says which command does.
        ArtifactMissing: nothing at `uri`.
    """
    if uri is not None:
        return table_at(uri, kind)
    manifest = latest_manifest(Home.from_env(), kind, name=name)
    if manifest is None:
        raise OptionMissing(name or kind, _MADE_BY[kind])
    return manifest.artifacts[name] if name is not None else manifest.of_kind(kind)[-1]


def newest_together(kind: str, *others: str) -> dict[str, Artifact]:
    """The newest artifact of `kind`, and those of the other kinds that the same run recorded beside it.

    Newer ones of the others may belong to other queries.

    Raises:
        OptionMissing: as `newest`.
    """
    found = {kind: newest(kind)}
    manifest = latest_manifest(Home.from_env(), kind)
    for other in others:
        beside = manifest.of_kind(other) if manifest is not None else ()
        found[other] = beside[-1] if beside else newest(other)
    return found


def beside(artifact: Artifact, kind: str, uri: str | None = None) -> Artifact:
    """The table at `uri`, else the one of `kind` that the newest run which recorded `artifact` recorded with it.

    Raises:
        OptionMissing: no run recorded both.
        ArtifactMissing: nothing at `uri`.
    """
    if uri is not None:
        return table_at(uri, kind)
    manifest = manifest_of(Home.from_env(), artifact)
    if manifest is None or not manifest.of_kind(kind):
        raise OptionMissing(f"{kind} recorded beside {artifact.uri}", f"name them with --{kind}")
    return manifest.of_kind(kind)[-1]


def newest_heads() -> dict[str, Artifact]:
    """The heads of the newest run that trained any, by stage, the one to use last."""
    newest("heads")
    manifest = latest_manifest(Home.from_env(), "heads")
    assert manifest is not None
    return {name: a for name, a in manifest.artifacts.items() if a.kind == "heads"}


def copy_to(artifact: Artifact, folder: str) -> None:
    """Copy a folder artifact where a person asked for it; the umask decides who may read the copy."""
    source, target = local_folder(artifact), Path(folder).expanduser()
    for file in source.rglob("*"):
        if file.is_file():
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def copy_report(report: str, folder: str) -> None:
    """Copy a report's files where a person asked for them."""
    fs, root = resolve(report)
    target = Path(folder).expanduser()
    target.mkdir(parents=True, exist_ok=True)
    for path in fs.ls(root, detail=False):
        fs.get_file(path, str(target / PurePosixPath(path).name))
