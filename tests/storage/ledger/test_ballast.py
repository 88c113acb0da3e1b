import errno
import os

import pytest

from routecal.storage.ledger import ballast
from routecal.storage.ledger.ballast import SIZE_BYTES, Ballast, has_room, is_full


@pytest.fixture(params=["allocated", "written"])
def _way(request, monkeypatch):
    if request.param == "written":
        monkeypatch.delattr(os, "posix_fallocate", raising=False)


@pytest.mark.usefixtures("_way")
def test_the_space_is_really_taken_and_given_back(tmp_path):
    one, two = Ballast(tmp_path / "l"), Ballast(tmp_path / "l")
    one.take()
    two.take()
    assert (one.is_new, two.is_new, one.path.name) == (True, False, "l.ballast")
    assert one.path.stat().st_blocks * 512 >= SIZE_BYTES
    one.drop()
    two.drop()
    assert list(tmp_path.iterdir()) == []


def test_a_ballast_that_is_too_small_is_filled_up(tmp_path):
    some = Ballast(tmp_path / "l")
    some.path.write_bytes(b"x")
    some.take()
    assert some.path.stat().st_size == SIZE_BYTES
    assert not some.is_new


def refusing(number):
    def refuse(handle, n_bytes):
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize(("number", "room"), [(errno.ENOSPC, False), (errno.EDQUOT, False), (errno.EIO, True)])
def test_no_room(tmp_path, monkeypatch, number, room):
    assert has_room(tmp_path)
    monkeypatch.setattr(ballast, "_allocate", refusing(number))
    assert has_room(tmp_path) is room
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        Ballast(tmp_path / "l").take()
    assert is_full(caught.value) is not room
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone_is_not_full(tmp_path):
    assert has_room(tmp_path / "gone")
