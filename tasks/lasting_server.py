"""Whether runs here have a Prefect server that outlives them, so that others may run beside them."""

import os

# Set by a command that started a server for its own length.
TEMPORARY = "ROUTECAL_TEMPORARY_SERVER"


def has_lasting_server() -> bool:
    """Whether PREFECT_API_URL, or a profile, names a server that no command of ours started."""
    from prefect.settings import PREFECT_API_URL

    return bool(PREFECT_API_URL.value()) and TEMPORARY not in os.environ
