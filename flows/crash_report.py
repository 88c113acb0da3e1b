"""What nobody foresaw: one line for the user, and the traceback in a file for whoever mends it."""

import os
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path

from routecal.flows.path_checks import local_path
from routecal.plain_text import plain


def write_crash_report(error: BaseException, command: str) -> str:
    """Write the traceback to a file, and say what happened and where it is, in one sentence."""
    text = "".join(traceback.format_exception(error))
    what = plain(f"{type(error).__name__}: {error}", at_most=300)
    for folder in (_logs(), Path(tempfile.gettempdir())):
        file = folder / f"{command}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}.txt"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        except OSError:
            continue
        return f"a fault of routecal, not of yours: {what}; please report it with the traceback in {file}"
    return f"a fault of routecal, not of yours: {what}; `routecal --verbose {command} …` prints the traceback"


def of_the_server(error: BaseException | None) -> str | None:
    """What went wrong on the way to the Prefect server; None if nothing did there. Nobody else here speaks httpx."""
    while error is not None:
        if type(error).__module__.partition(".")[0] in ("httpx", "httpcore"):
            return plain(f"{type(error).__name__}: {error}", at_most=300)
        error = error.__cause__ or error.__context__
    return None


def _logs() -> Path:
    """Beside the artifacts, where those are local."""
    home = local_path(os.environ.get("ROUTECAL_HOME") or "./artifacts")
    return (home or Path("artifacts")).absolute() / "logs"
