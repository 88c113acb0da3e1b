"""Labels and features that different runs made, and whether they are of the same queries."""

from routecal.storage.artifact import Artifact, read_table
from routecal.storage.errors import ArtifactMissing
from routecal.storage.layout import Home
from routecal.storage.manifest import newest_first
from routecal.storage.query_identity import rough_half
from routecal.tasks.errors import MixedQueries
from routecal.tasks.runs import newest_artifact, recorded_beside, run_of


def features_for(labels: Artifact) -> Artifact:
    """The newest features that a run read off the queries of these labels; of any queries, if of those there are none.

    Raises:
        OptionMissing: no run made features.
    """
    asked = _queries_of(labels)
    for manifest in newest_first(Home.from_env()):
        queries, features = manifest.main("queries"), manifest.main("features")
        if queries is None or features is None:
            continue
        try:
            if _is_nested(asked, _ids(queries)):
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
    asked, read = _queries_of(labels), _queries_of(features)
    if asked & read and not _is_nested(asked, read):
        raise MixedQueries(name_of(labels), name_of(features), len(asked & read))


def name_of(artifact: Artifact) -> str:
    """How people are told of a table: by the run that made it, else by its place."""
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
