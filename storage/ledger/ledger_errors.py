"""What can be wrong with the ledger of paid calls.

A URL in these errors is the one that `storage.ledger.url.shown` gives: it holds no password.
"""

from routecal.storage.errors import StorageError

ELSEWHERE = "set ROUTECAL_LEDGER_URL to another place"


class LedgerError(StorageError):
    """Root of what the ledger raises on purpose."""


class LedgerUrlInvalid(LedgerError, ValueError):
    """The URL of the ledger cannot be used; only its first word is repeated, the rest may hold a password."""

    start: str
    reason: str
    sentence = (
        "the URL of the ledger ({start}…) cannot be used: {reason}; set ROUTECAL_LEDGER_URL to "
        "sqlite:////folder/ledger.sqlite or postgresql://user:password@host:5432/database"
    )


class LedgerNeedsPackage(LedgerError, ImportError):
    """The package that speaks to the database is not installed."""

    package: str
    extra: str
    sentence = (
        "a ledger in PostgreSQL needs the package {package}; run: pip install 'routecal[{extra}]', or unset "
        "ROUTECAL_LEDGER_URL"
    )


class LedgerNewer(LedgerError, ValueError):
    """A newer routecal wrote the ledger, in a format that this one does not know."""

    url: str
    found: str
    known: int
    sentence = (
        "the ledger {url} was written by a newer routecal (format {found}, this one reads {known}); upgrade routecal, "
        f"or {ELSEWHERE}"
    )


class LedgerLocked(LedgerError, TimeoutError):
    """Other processes kept the ledger locked for longer than we wait."""

    url: str
    wait_s: float
    sentence = (
        "the ledger {url} has been locked by another process for {wait_s:g} s; wait until it is done, end it (`fuser` "
        f"on the file names it), or {ELSEWHERE}"
    )


class LedgerUnreachable(LedgerError, ConnectionError):
    """The database server does not answer, or refuses the login."""

    url: str
    reason: str
    sentence = (
        "the ledger {url} cannot be reached ({reason}); check that the server runs and that ROUTECAL_LEDGER_URL is "
        "right, and run again: what was finished before is kept"
    )


class LedgerFull(LedgerError, OSError):
    """No space is left for the ledger."""

    url: str
    sentence = (
        f"the disk of the ledger {{url}} is full; free at least 16 MiB there, or {ELSEWHERE}, and run again: every "
        "call recorded before is kept and is not paid again"
    )


class JobHeld(LedgerError):
    """Another run is spending the same budget."""

    pid: int
    host: str
    sentence = (
        "process {pid} on {host} is labelling the same rows under the same --max-usd, which two runs at once could "
        "exceed; wait for it, or end it and run again: nothing it has paid for is lost"
    )


class LedgerNotWritable(LedgerError, PermissionError):
    """The place of the ledger refuses writes."""

    url: str
    reason: str
    sentence = (
        "the ledger {url} cannot be written to ({reason}); set ROUTECAL_HOME or ROUTECAL_LEDGER_URL to a place that can"
    )


class LedgerDamaged(LedgerError, ValueError):
    """The file or database is not a ledger, or is a damaged one."""

    url: str
    reason: str
    sentence = (
        f"{{url}} is not a ledger that can be read ({{reason}}); restore a copy of it, or {ELSEWHERE}: without it, its "
        "calls would be paid again"
    )
