"""The environment of a run: where state and results live, and what Prefect and libraries are loaded with."""

import gc
import importlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

from pydantic import ValidationError

from routecal.flows.errors import PrefectSettings
from routecal.storage.layout import Home


def run_environment(*, verbose: bool, refresh: bool) -> dict[str, str]:
    """Variables of Prefect and of the libraries for a run from here.

    State and results live beside the artifacts, so that every run of a project, from here, a worker or cron, resumes
    from the same ones. Without PREFECT_API_URL a server is started for the run and ends with it.
    """
    home = Home.from_env().root
    local = home if "://" not in home else "artifacts"
    return {
        "PREFECT_HOME": os.path.abspath(".prefect"),
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": os.path.join(local, "results"),
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",  # of how a flow failed, which Prefect would pickle
        "PREFECT_LOGGING_LEVEL": "INFO" if verbose else "CRITICAL",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # One that ended is seen at once; on two cores with six processes beside it one that lives has taken 120 s.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "600",
        "PREFECT_TASKS_REFRESH_CACHE": "true" if refresh else "false",
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "ARROW_DEFAULT_MEMORY_POOL": "system",  # Arrow's own pool keeps what it has freed: 40 MiB when labelling
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait for each other sleep: on a busy machine 5 times as fast
        "TQDM_DISABLE": "1",  # bars of libraries, which would fight with ours
    }


@contextmanager
def uncollected() -> Iterator[None]:
    """Import without looking for garbage: modules stay, and to go through them again and again takes a sixth longer."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def load_prefect() -> None:
    """Import Prefect, which reads its settings then.

    Raises:
        PrefectSettings: it refuses them; says why.
    """
    warnings = io.StringIO()
    try:
        with redirect_stderr(warnings):
            importlib.import_module("prefect.settings").get_current_settings()
            importlib.import_module("prefect")
    except Exception as error:
        raise PrefectSettings(_reason(error)) from error
    sys.stderr.write(warnings.getvalue())


def _reason(error: Exception) -> str:
    """What is wrong; of a model only the first value, for the others follow from it."""
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    first = error.errors()[0]
    return f"{error.title} {'.'.join(map(str, first['loc']))} is {first['input']!r}, and {first['msg'].lower()}"
