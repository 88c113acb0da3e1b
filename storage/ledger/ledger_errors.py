"""What can be wrong with the ledger of paid calls; the rules are those of `storage.errors`.

A URL in these errors is the one `storage.ledger.url.shown` gives: it holds no password.
"""

from collections.abc import Iterable

from routecal.storage.errors import StorageError

ELSEWHERE = "point ROUTECAL_LEDGER_URL elsewhere"


class LedgerError(StorageError):
    """Root of what the ledger raises on purpose."""


class LedgerUrlInvalid(LedgerError, ValueError):
    """The URL of the ledger cannot be used; only its first word is repeated, the rest may hold a password."""

    def __init__(self, start: str, reason: str) -> None:
        super().__init__(start, reason)
        self.start, self.reason = start, reason

    def __str__(self) -> str:
        return (
            f"the URL of the ledger ({self.start}…) cannot be used: {self.reason}; "
            "set ROUTECAL_LEDGER_URL to sqlite:////folder/ledger.sqlite or postgresql://user:password@host:5432/database"
        )


class LedgerNeedsPackage(LedgerError, ImportError):
    """The package that speaks to the database is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(package, extra)
        self.package, self.extra = package, extra

    def __str__(self) -> str:
        return (
            f"a ledger in PostgreSQL needs the package {self.package}; "
            f"run: pip install 'routecal[{self.extra}]', or unset ROUTECAL_LEDGER_URL"
        )


class LedgerNewer(LedgerError, ValueError):
    """A newer routecal made the ledger, in a form this one does not know."""

    def __init__(self, url: str, found: str, known: int) -> None:
        super().__init__(url, found, known)
        self.url, self.found, self.known = url, found, known

    def __str__(self) -> str:
        return (
            f"the ledger {self.url} was written by a newer routecal (form {self.found}, this one knows {self.known}); "
            f"update routecal, or {ELSEWHERE}"
        )


class LedgerLocked(LedgerError, TimeoutError):
    """Other processes kept the ledger to themselves for longer than we wait."""

    def __init__(self, url: str, pids: Iterable[int], wait_s: float) -> None:
        pids = tuple(pids)
        super().__init__(url, pids, wait_s)
        self.url, self.pids, self.wait_s = url, pids, wait_s

    def __str__(self) -> str:
        return (
            f"the ledger {self.url} has been locked by {holder(self.pids)} for {self.wait_s:g} s; "
            f"wait until it is done, end it, or {ELSEWHERE}"
        )


class LedgerUnreachable(LedgerError, ConnectionError):
    """The database server does not answer, or does not let us in."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url, self.reason = url, reason

    def __str__(self) -> str:
        return (
            f"the ledger {self.url} cannot be reached ({self.reason}); check that the server runs and that "
            "ROUTECAL_LEDGER_URL is right, and run again: what was finished before is kept"
        )


class LedgerFull(LedgerError, OSError):
    """No space is left for the ledger."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url

    def __str__(self) -> str:
        return (
            f"the disk of the ledger {self.url} is full; free at least 16 MiB there, or {ELSEWHERE}, "
            "and run again: every call recorded before is kept and is not paid again"
        )


class JobHeld(LedgerError):
    """Another run is spending the same budget."""

    def __init__(self, pid: int, host: str) -> None:
        super().__init__(pid, host)
        self.pid, self.host = pid, host

    def __str__(self) -> str:
        return (
            f"process {self.pid} on {self.host} is labelling the same rows under the same --max-usd, which two runs "
            "at once could exceed; wait for it, or end it and run again: nothing it has paid for is lost"
        )


class LedgerNotWritable(LedgerError, PermissionError):
    """The place of the ledger refuses writes."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url, self.reason = url, reason

    def __str__(self) -> str:
        return (
            f"the ledger {self.url} cannot be written to ({self.reason}); "
            "point ROUTECAL_HOME or ROUTECAL_LEDGER_URL at a place that can"
        )


class LedgerDamaged(LedgerError, ValueError):
    """What is there is no ledger, or not any more."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url, self.reason = url, reason

    def __str__(self) -> str:
        return (
            f"{self.url} is not a ledger that can be read ({self.reason}); put back a copy of it, or {ELSEWHERE}: "
            "moving it away means that its calls would be paid again"
        )


def holder(pids: Iterable[int]) -> str:
    """Who has the lock, in words.

    >>> holder([12]), holder([12, 15]), holder([])
    ('process 12', 'processes 12, 15', 'another process')
    """
    listed = sorted(pids)
    if not listed:
        return "another process"
    return f"{'process' if len(listed) == 1 else 'processes'} {', '.join(map(str, listed))}"
