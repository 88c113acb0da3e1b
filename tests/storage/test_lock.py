"""A lock belongs to a living process."""

import subprocess
import sys
from pathlib import Path

import pytest

from routecal.storage.errors import HomeNotWritable, LockHeld
from routecal.storage.lock import locked

HOLD = "import sys, time\nfrom pathlib import Path\nfrom routecal.storage.lock import locked\n" + (
    "with locked(Path(sys.argv[1]), 'another'):\n    print('held', flush=True)\n    time.sleep(600)\n"
)


def test_a_lock_is_held_by_one_and_free_again_after_it(tmp_path: Path) -> None:
    path = tmp_path / "made" / "lock"
    with locked(path, "the first, whose note is the longer one"):
        with pytest.raises(LockHeld) as held, locked(path, "second"):
            pass
        assert held.value.note == "the first, whose note is the longer one"
    with locked(path, "third"), pytest.raises(LockHeld, match=r"\(third\)"), locked(path, "fourth"):
        pass


def test_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LockHeld, match=r"\(another\)"), locked(path, "own"):
            pass
        other.kill()
        other.wait()
        with locked(path, "own"):
            pass


def test_a_lock_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeNotWritable), locked(tmp_path / "file" / "lock", "own"):
        pass
