"""Which processes hold locks on a file.

Read from /proc/locks by inode. The files themselves are never opened: when a process closes any handle of a file, POSIX
drops all its locks on it, those of SQLite included.
"""

import os
from collections.abc import Iterable
from pathlib import Path

TABLE = Path("/proc/locks")


def holders(paths: Iterable[Path], *, table: Path = TABLE) -> tuple[int, ...]:
    """The processes with a write lock on one of the files, sorted; empty where the system does not tell.

    This process is named only when no other holds one. A read lock means nothing: SQLite in WAL mode has one on every
    open database.
    """
    files = set()
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            continue
        files.add((os.major(status.st_dev), os.minor(status.st_dev), status.st_ino))
    try:
        lines = table.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return ()
    here: set[int] = set()
    elsewhere: set[int] = set()
    inodes = {inode for _, _, inode in files}
    for line in lines:
        # 1: POSIX  ADVISORY  WRITE 708 08:01:4849740 120 120; one that waits has "->" in second place
        fields = line.split()
        if len(fields) < 6 or fields[1] == "->" or fields[3] != "WRITE" or int(fields[4]) <= 0:
            continue
        major, minor, inode = fields[5].split(":")
        if int(inode) in inodes:
            same = (int(major, 16), int(minor, 16), int(inode)) in files
            (here if same else elsewhere).add(int(fields[4]))
    # Stacked file systems (overlay, btrfs) list a device that stat does not give; there the inode has to do.
    found = here or elsewhere
    return tuple(sorted(found - {os.getpid()} or found))
