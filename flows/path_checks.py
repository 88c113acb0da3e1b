"""Files and folders that options name: looked at, not opened, before anything heavy is imported or started."""

import json
import os
import tempfile
from pathlib import Path

from routecal.calib.checkpoint_errors import CheckpointMissing
from routecal.flows.errors import FolderMissing, NotAFile, PlaceUnusable
from routecal.storage.errors import HomeNotWritable
from routecal.storage.input_errors import InputMissing, InputUnreadable


def input_file(option: str, path: str | None) -> None:
    """Refuse a file that is not there, is a folder, or may not be read; what lies at a URL is not looked at.

    Raises:
        InputMissing, InputUnreadable, NotAFile: which of these.
    """
    if (local := local_path(path)) is None:
        return
    try:
        is_folder, is_there = local.is_dir(), local.exists()
    except OSError as error:
        raise InputUnreadable(str(path), error.strerror or str(error)) from error
    if is_folder:
        raise NotAFile(option, str(path))
    if not is_there:
        raise InputMissing(str(path))
    if not os.access(local, os.R_OK):
        raise InputUnreadable(str(path), "Permission denied")


def input_folder(option: str, path: str | None) -> None:
    """Refuse a folder that is not there or is a file.

    Raises:
        FolderMissing: which of the two.
    """
    if (local := local_path(path)) is not None and not os.path.isdir(local):
        raise FolderMissing(option, str(path), os.path.isfile(local))


def checkpoint(path: str | None, *, wanted: str = "Hugging Face checkpoint (config.json)") -> None:
    """Refuse a folder that can hold no checkpoint of a model.

    Raises:
        CheckpointMissing: there is no such folder, or it lacks a configuration.
    """
    if (local := local_path(path)) is not None and os.path.isfile(local / "head.safetensors"):
        raise CheckpointMissing(str(path), f"{wanted}, but the confidence head of a router")
    _holds(path, wanted, "config.json", "adapter_config.json")


def size_of(path: str | None, *names: str) -> int | None:
    """A size that a checkpoint's configuration states under one of these names; None if it cannot be told."""
    if (local := local_path(path)) is None:
        return None
    try:
        config = json.loads((local / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    # Models of several modes keep the sizes of the one that reads text apart.
    parts = (config, config.get("text_config")) if isinstance(config, dict) else ()
    sizes = (part.get(name) for part in parts if isinstance(part, dict) for name in names)
    return next((size for size in sizes if isinstance(size, int)), None)


def head(path: str | None) -> None:
    """Refuse a folder that holds no confidence head.

    Raises:
        CheckpointMissing: there is no such folder, or it lacks the weights.
    """
    _holds(path, "confidence head (head.safetensors)", "head.safetensors")


def check_home() -> None:
    """Refuse a ROUTECAL_HOME that is a file, or a store that cannot be looked into: readers would find nothing there.

    Raises:
        HomeNotWritable: it is a file.
        StorageError: the object store is not there, refuses, or does not answer.
    """
    home = local_path(os.environ.get("ROUTECAL_HOME"))
    if home is not None and home.exists() and not home.is_dir():
        raise HomeNotWritable(str(home), "it is a file")
    if "://" in os.environ.get("ROUTECAL_HOME", ""):
        from routecal.storage.layout import Home

        Home.from_env().check_readable()


def output_file(option: str, path: str | None) -> None:
    """Refuse a file that could not be written: its folder is not there or refuses files, or it is a folder itself.

    Raises:
        NotAFile, FolderMissing, PlaceUnusable: which of these.
    """
    if (local := local_path(path)) is None:
        return
    if os.path.isdir(local):
        raise NotAFile(option, str(path))
    if not os.path.isdir(local.parent):
        raise FolderMissing(option, str(local.parent), os.path.isfile(local.parent))
    if reason := refusal(local.parent):
        raise PlaceUnusable(f"the file of {option}", str(path), reason, "name a file in another folder")


def output_folder(option: str, path: str | None) -> None:
    """Refuse a folder that can neither be made nor written to.

    Raises:
        PlaceUnusable: with the reason.
    """
    if (local := local_path(path)) is not None and (reason := refusal(local)):
        raise PlaceUnusable(f"the folder of {option}", str(path), reason, "name another one")


def refusal(folder: Path) -> str | None:
    """Why no file can be written into a folder, made if need be; None if one can. Whatever is made is removed again."""
    made: list[Path] = []
    try:
        for one in reversed([folder, *folder.parents]):
            if not one.exists():
                one.mkdir()
                made.append(one)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"routecal")
            probe.flush()
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    finally:
        for one in reversed(made):
            one.rmdir()
    return None


def _holds(path: str | None, wanted: str, *names: str) -> None:
    local = local_path(path)
    if local is not None and not any(os.path.isfile(local / name) for name in names):
        raise CheckpointMissing(str(path), wanted if os.path.isdir(local) else f"{wanted}, as there is no such folder")


def local_path(path: str | None) -> Path | None:
    """A path of this machine; None for a URL, or where none is given."""
    if path is None or ("://" in path and not path.startswith("file://")):
        return None
    # Unlike Path.expanduser this leaves the name of a user that does not exist as it is.
    return Path(os.path.expanduser(path.removeprefix("file://")))
