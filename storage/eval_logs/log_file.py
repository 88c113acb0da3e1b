"""The path of a log, before it is read."""

from pathlib import Path

from routecal.storage.eval_logs.errors import LogUnreadable
from routecal.storage.input_errors import InputMissing


def log_file(path: str, tool: str, *, wanted: str) -> Path:
    """The path of a log that is one file.

    Args:
        path: as the user named it.
        tool: who wrote it, for the sentence.
        wanted: what to name in a folder.

    Raises:
        InputMissing: there is nothing.
        LogUnreadable: it is a folder.
    """
    file = Path(path)
    if not file.exists():
        raise InputMissing(path)
    if file.is_dir():
        raise LogUnreadable(path, tool, "it is a folder", f"name one {wanted} in it")
    return file
