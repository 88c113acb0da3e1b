"""A lock that a living process holds on a file of this machine: whatever ends the process frees it.

`flock` belongs to the open file, so neither a kill nor a power cut leaves one behind, and the name of the file says
nothing. On a network mount it holds as far as the mount supports it; none was tried.
"""

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from routecal.storage.atomic import disk_errors
from routecal.storage.errors import LockHeld

logger = logging.getLogger(__name__)

_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
# Bytes of a note that are read.
_LONGEST = 4096


@contextmanager
def locked(path: Path, note: str) -> Iterator[int]:
    """Hold the lock while the block runs.

    Args:
        path: its file, made if need be and left behind.
        note: who holds it, for whoever finds it held.

    Yields:
        The open file; a child process that inherits it holds the lock too, and outlives its parent with it.

    Raises:
        LockHeld: another process holds it, or another part of this one; with its note.
        DiskFull, HomeNotWritable: the file cannot be made.
    """
    with disk_errors(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockHeld(str(path), os.pread(handle, _LONGEST, 0).decode(errors="replace")) from error
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            logger.warning("%s cannot be locked (%s); nothing keeps another process out", path, error.strerror)
        with disk_errors(str(path)):
            os.ftruncate(handle, 0)
            os.pwrite(handle, note.encode(), 0)
        yield handle
    finally:
        os.close(handle)
