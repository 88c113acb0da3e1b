"""References to tables and folders that are there already, by their place."""

from pathlib import Path

from routecal.storage.artifact import Artifact, digest_file, kind_of, read_table
from routecal.storage.atomic import local_path
from routecal.storage.errors import ArtifactCorrupt, ArtifactMissing, WrongKind
from routecal.storage.folder_artifact import digest_folder


def table_at(uri: str, kind: str) -> Artifact:
    """A reference to the stored table at a local path.

    Raises:
        ArtifactMissing: there is no such file, or it is not local.
        WrongKind: it holds another kind of table, or none of ours.
    """
    path = local_path(uri)
    if path is None or not path.is_file():
        raise ArtifactMissing(uri)
    found = Artifact(uri=str(path), sha256=digest_file(path), rows=0, kind=kind)
    try:
        stored = kind_of(found)
    except ArtifactCorrupt as error:
        raise WrongKind(uri, kind, None) from error
    if stored != kind:
        raise WrongKind(uri, kind, stored)
    rows = read_table(found, columns=["query_id"], verify=False).num_rows
    return found.model_copy(update={"rows": rows})


def folder_at(path: str, kind: str) -> Artifact:
    """A reference to a local folder by the digest of its files, so that a changed folder is another artifact.

    Raises:
        ArtifactMissing: there is no such folder.
    """
    folder = Path(path).expanduser().resolve()
    if not folder.is_dir():
        raise ArtifactMissing(path)
    files = sum(1 for f in folder.rglob("*") if f.is_file())
    return Artifact(uri=str(folder), sha256=digest_folder(folder), rows=files, kind=kind)
