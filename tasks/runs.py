"""Runs: their names, what they made, the newest of a kind for steps that are given none, and what belongs together."""

import shutil
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from routecal.storage.artifact import Artifact, read_table, table_at
from routecal.storage.atomic import sweep
from routecal.storage.errors import ArtifactMissing
from routecal.storage.folder_artifact import local_folder
from routecal.storage.layout import Home
from routecal.storage.manifest import Manifest, latest_manifest, manifest_of, newest_first, write_manifest
from routecal.storage.query_identity import rough_half
from routecal.storage.remote import resolve, store_errors
from routecal.tasks.errors import MixedQueries, NoJointOutcomes, OptionMissing, RunLacks, RunUnknown

# Which command makes what, for the sentence that says what to do.
_MADE_BY = {
    "queries": "run `routecal label` first, or name one",
    "labels": "run `routecal label` first, or name one",
    "features": "run `routecal extract` first, or name one",
    "examples": "run `routecal train` first",
    "predictions": "run `routecal evaluate` first",
    "heads": "run `routecal train` first, or name one",
    "calibrated": "run `routecal calibrate` first",
}
# Of what the outcome head says of every row.
_OUTCOMES = "outcome_predictions"
# In a night's manifest, whose `examples` are tonight's: all rows that its head learned from and was measured on.
POOLED = "pooled examples"


def start(flow: str) -> str:
    """A name for this run that sorts by time; the home is checked, and tidied, before anything is spent.

    Raises:
        HomeNotWritable: the run could store nothing.
    """
    # Prefect, which commands that only look at what is stored do without.
    from prefect import runtime

    home = Home.from_env()
    home.check_writable()
    sweep(home.root)
    suffix = (runtime.flow_run.id or "0000")[-4:]
    return f"{flow}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{suffix}"


def record_run(run_id: str, **entries: Any) -> None:
    """Remember what a run made: artifacts by name, and plain facts."""
    write_manifest(Home.from_env(), run_id, entries)


def newest_artifact(kind: str, uri: str | None = None, *, name: str | None = None) -> Artifact:
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
    return manifest.artifacts[name] if name is not None else _main(manifest, kind)


def run_with(*kinds: str, run_id: str | None = None) -> tuple[str, dict[str, Artifact]]:
    """One run and what it recorded of `kinds`: artifacts of one run belong together, the newest of each kind may not.

    Args:
        kinds: of which the run must have recorded each.
        run_id: of the run; None takes the newest that did.

    Raises:
        RunUnknown, RunLacks: it was named and recorded nothing, or not all of them.
        OptionMissing: none was named, and no run recorded all of them.
    """
    if run_id is not None:
        manifest = run_named(run_id)
        if lacking := [kind for kind in kinds if manifest.main(kind) is None]:
            raise RunLacks(run_id, lacking, list(manifest.artifacts))
    elif (found := latest_manifest(Home.from_env(), *kinds)) is not None:
        manifest = found
    else:
        lacking = [kind for kind in kinds if latest_manifest(Home.from_env(), kind) is None]
        what = (lacking or kinds)[0]
        raise OptionMissing(what, _MADE_BY[what])
    return manifest.run_id, {kind: _main(manifest, kind) for kind in kinds}


def with_joint_outcomes(*kinds: str, run_id: str | None = None) -> tuple[str, dict[str, Artifact]]:
    """As `run_with`, of a run that has predictions of an outcome head, those among what it recorded.

    Of a night the examples are all that it pooled, which its predictions are of, not tonight's alone.

    Raises:
        NoJointOutcomes: the run that was named has none, or no run has.
        RunUnknown, RunLacks, OptionMissing: as `run_with`.
    """
    if run_id is not None and run_named(run_id).main(_OUTCOMES) is None:
        raise NoJointOutcomes(f"the run {run_id}")
    if run_id is None and latest_manifest(Home.from_env(), _OUTCOMES) is None:
        raise NoJointOutcomes("no run here")
    source, found = run_with(*kinds, _OUTCOMES, run_id=run_id)
    pooled = recorded(source).get(POOLED)
    return source, found if pooled is None else found | {"examples": pooled}


def latest_with_any(*kinds: str) -> Manifest | None:
    """The newest run that recorded something of these kinds; None if none did."""
    return next((m for m in newest_first(Home.from_env()) if any(map(m.main, kinds))), None)


def run_named(run_id: str) -> Manifest:
    """What a run recorded.

    Raises:
        RunUnknown: nothing; names the newest runs.
    """
    every = newest_first(Home.from_env())
    found = next((m for m in every if m.run_id == run_id), None)
    if found is None:
        raise RunUnknown(run_id, [m.run_id for m in every[:3]])
    return found


def run_of(artifact: Artifact, *kinds: str) -> str | None:
    """The newest run that recorded this very artifact, and something of each of `kinds`; None if none did."""
    every = newest_first(Home.from_env())
    return next((m.run_id for m in every if artifact in m.artifacts.values() and all(map(m.main, kinds))), None)


def recorded(run_id: str | None) -> dict[str, Artifact]:
    """What a run recorded, by name; nothing of no run."""
    return {} if run_id is None else run_named(run_id).artifacts


def fact_of(artifact: Artifact, name: str) -> str | None:
    """A sentence that the newest run which recorded the artifact noted beside it."""
    manifest = manifest_of(Home.from_env(), artifact)
    found = None if manifest is None else manifest.facts.get(name)
    return None if found is None else str(found)


def beside(artifact: Artifact, kind: str, uri: str | None = None) -> Artifact:
    """The table at `uri`, else the one of `kind` that the newest run which recorded `artifact` recorded with it.

    Raises:
        OptionMissing: no run recorded both.
        ArtifactMissing: nothing at `uri`.
    """
    if uri is not None:
        return table_at(uri, kind)
    found = recorded_beside(artifact, kind)
    if found is None:
        raise OptionMissing(f"{kind} recorded beside {artifact.uri}", f"name them with --{kind}")
    return found


def recorded_beside(artifact: Artifact, kind: str) -> Artifact | None:
    """What the newest run that recorded `artifact` recorded of `kind` with it; None if nothing."""
    manifest = manifest_of(Home.from_env(), artifact)
    return None if manifest is None else next(iter(manifest.of_kind(kind)[::-1]), None)


def _main(manifest: Manifest, kind: str) -> Artifact:
    found = manifest.main(kind)
    assert found is not None
    return found


def copy_to(artifact: Artifact, folder: str) -> None:
    """Copy a folder artifact where a person wants it; the umask decides who may read the copy."""
    source, target = local_folder(artifact), Path(folder).expanduser()
    for file in source.rglob("*"):
        if file.is_file():
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def copy_report(report: str, folder: str) -> None:
    """Copy a report's files where a person wants them."""
    fs, root = resolve(report)
    target = Path(folder).expanduser()
    target.mkdir(parents=True, exist_ok=True)
    with store_errors(report):
        for path in fs.ls(root, detail=False):
            fs.get_file(path, str(target / PurePosixPath(path).name))


def features_for(labels: Artifact) -> Artifact:
    """The newest features that a run read off the queries of these labels; of any queries, if of those there are none.

    Raises:
        OptionMissing: no run made features.
    """
    labelled = _queries_of(labels)
    for manifest in newest_first(Home.from_env()):
        queries, features = manifest.main("queries"), manifest.main("features")
        if queries is None or features is None:
            continue
        try:
            if _is_nested(labelled, _ids(queries)):
                return features
        except ArtifactMissing:
            continue
    return newest_artifact("features")


def check_together(labels: Artifact, features: Artifact) -> None:
    """Refuse labels and features of queries of which neither holds the other's: they are of two files.

    A part of a file may be labelled, or read, as with --limit. Where no query is in both, `join` says so.

    Raises:
        MixedQueries: says how many they have in common.
    """
    labelled, read = _queries_of(labels), _queries_of(features)
    if labelled & read and not _is_nested(labelled, read):
        raise MixedQueries(name_of(labels), name_of(features), len(labelled & read))


def name_of(artifact: Artifact) -> str:
    """How messages name a table: by the run that made it, else by its place."""
    run_id = run_of(artifact)
    return f"the {artifact.kind} {artifact.uri}" if run_id is None else f"the {artifact.kind} of run {run_id}"


def _queries_of(table: Artifact) -> frozenset[str]:
    """Of the queries recorded beside a table, or of its own rows: not every query gets a label."""
    return _ids(recorded_beside(table, "queries") or table)


def _ids(table: Artifact) -> frozenset[str]:
    """Rough ids, which version 0.1 has in place of those of now."""
    ids = read_table(table, columns=["query_id"], verify=False)["query_id"].to_pylist()
    return frozenset(map(rough_half, ids))


def _is_nested(one: frozenset[str], other: frozenset[str]) -> bool:
    return bool(one & other) and (one <= other or other <= one)
