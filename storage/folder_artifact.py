"""Folders as artifacts: heads, routers, reports. Named by the digest of their names and contents."""

import os
from collections.abc import Callable
from pathlib import Path

from routecal.folder_digest import folder_digest, folder_files
from routecal.storage.artifact import Artifact
from routecal.storage.atomic import discard, disk_errors, flush, full_disk, local_path, staging, upload
from routecal.storage.errors import ArtifactCorrupt, ArtifactMissing
from routecal.storage.layout import Home
from routecal.storage.remote import is_file, resolve, store_errors


def write_folder(kind: str, build: Callable[[Path], None], *, home: Home) -> Artifact:
    """Let `build` fill an empty folder and store it as `<home>/<kind>/<digest[:16]>`; one that is whole is kept.

    A local folder appears under its name in one rename. A remote one is uploaded file by file, so a reader could see a
    part of it: `local_folder` checks the digest and would refuse, and the next `write_folder` completes it. There is no
    reference to it before all of it is there.

    Raises:
        DiskFull, HomeNotWritable: it cannot be stored; nothing half-written remains under a local home.
    """
    folder = home.folder(kind)
    with staging(folder) as staged:
        with disk_errors(folder):
            staged.mkdir()
        mode = staged.stat().st_mode
        # Only a full disk is the home's fault here: what `build` reads may be closed for reasons of its own.
        with full_disk(str(staged.parent)):
            build(staged)
        _open_to(staged, mode)
        digest = folder_digest(staged)
        files = folder_files(staged)
        artifact = Artifact(uri=f"{folder}/{digest[:16]}", sha256=digest, rows=len(files), kind=kind)
        final = local_path(artifact.uri)
        with disk_errors(folder):
            if final is None:
                _upload(files, artifact.uri)
            else:
                _rename(staged, final, digest)
    return artifact


def local_folder(artifact: Artifact, *, cache: Path | None = None) -> Path:
    """A local path that holds the folder: itself when the home is local, else a verified copy, downloaded once.

    Args:
        artifact: what `write_folder` returned.
        cache: where copies of remote folders go; by default `routecal` under the user's cache folder.

    Raises:
        ArtifactMissing: the folder is gone.
        ArtifactCorrupt: its content is not what was written.
    """
    if (local := local_path(artifact.uri)) is not None:
        if not local.is_dir():
            raise ArtifactMissing(artifact.uri)
        _verify(local, artifact)
        return local
    copy = (cache or _user_cache()) / artifact.kind / artifact.sha256[:16]
    if copy.is_dir() and folder_digest(copy) == artifact.sha256:
        return copy
    fs, root = resolve(artifact.uri)
    fs.invalidate_cache()
    with staging(str(copy.parent)) as staged:
        staged.mkdir()
        with store_errors(artifact.uri), full_disk(str(staged)):
            for name in fs.find(root):
                target = staged / name[len(root) :].lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                fs.get_file(name, str(target))
        if not any(staged.iterdir()):
            raise ArtifactMissing(artifact.uri)
        _verify(staged, artifact)
        with disk_errors(str(copy)):
            _rename(staged, copy, artifact.sha256)
    return copy


def _open_to(staged: Path, mode: int) -> None:
    """Let the umask decide who may read, as it did for the new folder's `mode`: safetensors writes 0600 whatever."""
    for path in (staged, *staged.rglob("*")):
        path.chmod(mode & (0o777 if path.is_dir() else 0o666))


def _verify(path: Path, artifact: Artifact) -> None:
    if (found := folder_digest(path)) != artifact.sha256:
        raise ArtifactCorrupt(artifact.uri, artifact.sha256, found)


def _rename(staged: Path, final: Path, digest: str) -> None:
    if final.is_dir():
        if folder_digest(final) == digest:
            return
        # A folder cannot be replaced in one step: the damaged one steps aside first.
        aside = final.with_name(f"{staged.name}-damaged")
        os.rename(final, aside)
        discard(aside)
    for _, file in folder_files(staged):
        flush(file)
    try:
        os.rename(staged, final)
    except OSError:
        # Another process may have stored the same content meanwhile.
        if not (final.is_dir() and folder_digest(final) == digest):
            raise
    flush(final.parent)


def _upload(files: list[tuple[str, Path]], uri: str) -> None:
    fs, root = resolve(uri)
    for name, file in files:
        target = f"{uri}/{name}"
        with store_errors(uri):
            is_whole = is_file(target) and fs.size(f"{root}/{name}") == file.stat().st_size
        if not is_whole:
            upload(file, target)


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "routecal"


def folder_at(path: str, kind: str) -> Artifact:
    """A reference to a local folder by the digest of its files, so that a changed folder is another artifact.

    Raises:
        ArtifactMissing: there is no such folder.
    """
    folder = Path(path).expanduser().resolve()
    if not folder.is_dir():
        raise ArtifactMissing(path)
    return Artifact(uri=str(folder), sha256=folder_digest(folder), rows=len(folder_files(folder)), kind=kind)
