"""Space set aside for the moment when the disk is full.

When no more can be written, answers that are already paid for are still on their way. The ballast is a file that is
then deleted, so that they fit.
"""

import errno
import os
import uuid
from contextlib import suppress
from pathlib import Path

SIZE_BYTES = 8 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Ballast:
    """The file `<name of the ledger>.ballast`.

    Attributes:
        path: where it is.
        is_new: `take` made it; it was not there before.
    """

    def __init__(self, ledger: Path) -> None:
        self.path = ledger.with_name(ledger.name + ".ballast")
        self.is_new = False

    def take(self) -> None:
        """Set the space aside; it is kept when it is there already.

        Raises:
            OSError: there is none (`is_full` tells), or the folder refuses the file. Nothing remains of it.
        """
        if self.path.exists() and self.path.stat().st_blocks * 512 >= SIZE_BYTES:
            return
        self.is_new = not self.path.exists()
        try:
            handle = os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o644)
            try:
                _allocate(handle, SIZE_BYTES)
            finally:
                os.close(handle)
        except OSError:
            self.drop()
            raise

    def drop(self) -> None:
        """Free the space; another process may have done so before."""
        with suppress(OSError):
            self.path.unlink()


def is_full(error: OSError) -> bool:
    """Whether the system says that there is no space, or no quota."""
    return error.errno in _FULL


def has_room(folder: Path, n_bytes: int = 1 << 16) -> bool:
    """Whether `n_bytes` can be written into `folder`; True when something other than space prevents it."""
    probe = folder / f".probe-{uuid.uuid4().hex}"
    try:
        handle = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        try:
            _allocate(handle, n_bytes)
        finally:
            os.close(handle)
    except OSError as error:
        return not is_full(error)
    finally:
        with suppress(OSError):
            probe.unlink()
    return True


def _allocate(handle: int, n_bytes: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, n_bytes)
        return
    # Random, because some file systems keep zeros for nothing.
    for _ in range(0, n_bytes, 1 << 16):
        os.write(handle, os.urandom(min(1 << 16, n_bytes)))
    os.fsync(handle)
