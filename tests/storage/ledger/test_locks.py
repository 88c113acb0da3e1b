import os

import pytest

from routecal.storage.ledger.locks import holders

ME = os.getpid()


@pytest.fixture
def listed(tmp_path):
    """Ask for the holders of a file under a made-up table of locks; {here} is its device and inode."""
    file = tmp_path / "ledger.sqlite-shm"
    file.write_bytes(b"")
    status = file.stat()
    here = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    other = f"ff:ff:{status.st_ino}"

    def ask(*lines):
        table = tmp_path / "locks"
        table.write_text("".join(f"{line.format(here=here, other=other)}\n" for line in lines))
        return holders([tmp_path / "missing", file], table=table)

    return ask


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], ()),
        (["1: POSIX  ADVISORY  WRITE 77 {here} 120 120"], (77,)),
        (["1: POSIX  ADVISORY  READ 77 {here} 120 120"], ()),
        (["1: POSIX  ADVISORY  WRITE 77 01:02:3 120 120"], ()),
        (["1: POSIX  ADVISORY  WRITE 77 {other} 120 120"], (77,)),
        (["1: POSIX  ADVISORY  WRITE 77 {other} 1 1", "2: POSIX  ADVISORY  WRITE 78 {here} 1 1"], (78,)),
        (["1: POSIX  ADVISORY  WRITE 77 {here} 1 1", "1: -> POSIX  ADVISORY  WRITE 78 {here} 1 1"], (77,)),
        (["1: OFDLCK ADVISORY  WRITE -1 {here} 0 EOF"], ()),
        (["1: POSIX  ADVISORY  WRITE 9 {here} 1 1", "2: POSIX  ADVISORY  WRITE 7 {here} 2 2"], (7, 9)),
        ([f"1: POSIX  ADVISORY  WRITE {ME} {{here}} 1 1"], (ME,)),
        ([f"1: POSIX  ADVISORY  WRITE {ME} {{here}} 1 1", "2: POSIX  ADVISORY  WRITE 7 {here} 2 2"], (7,)),
    ],
)
def test_who_holds_a_lock(listed, lines, found):
    assert listed(*lines) == found


def test_a_system_that_does_not_tell(tmp_path):
    assert holders([tmp_path], table=tmp_path / "none") == ()
