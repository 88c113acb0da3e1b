"""What people see while a long step goes on."""

import io
import logging

import pytest
from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console

from routecal.tasks import progress
from routecal.tasks.progress import counted, progress_shown, track, underway


@pytest.mark.parametrize("is_terminal", [True, False])
def test_our_warnings_are_printed_once_and_other_libraries_keep_theirs(is_terminal: bool) -> None:
    terminal, elsewhere = io.StringIO(), io.StringIO()
    root, theirs = logging.getLogger(), PrefectConsoleHandler(stream=elsewhere)
    root.addHandler(theirs)
    try:
        with progress_shown(Console(file=terminal, width=40, force_terminal=is_terminal)):
            logging.getLogger("routecal.tasks.oracle.job_runner").warning("%d calls [were] in flight as one died", 7)
            logging.getLogger("routecal.tasks.oracle.job_runner").info("nobody reads this")
            logging.getLogger("aiohttp.client").warning("a stranger's")
        # In one piece, however narrow the terminal, and with its brackets.
        assert "warning: 7 calls [were] in flight as one died\n" in terminal.getvalue()
        assert "nobody" not in terminal.getvalue() + elsewhere.getvalue()
        assert "stranger" in elsewhere.getvalue()
        assert "stranger" not in terminal.getvalue()
        assert "in flight" not in elsewhere.getvalue()
        logging.getLogger("routecal.tasks.oracle.job_runner").warning("afterwards")
        assert "afterwards" in elsewhere.getvalue()
        assert "afterwards" not in terminal.getvalue()
    finally:
        root.removeHandler(theirs)


def test_a_file_has_a_line_now_and_then_and_one_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with progress_shown(Console(file=written, width=40)):
        assert list(track("abc", "spell the word that is longer than the file is wide")) == ["a", "b", "c"]
    words = "spell the word that is longer than the file is wide"
    assert written.getvalue().splitlines() == [f"{words}: {n} of 3 after 0 s" for n in (1, 2, 3)]


def test_short_work_has_its_last_line_in_a_file() -> None:
    written = io.StringIO()
    with progress_shown(Console(file=written)):
        with underway("think"):
            pass
        assert list(track([1, 2], "add")) == [1, 2]
        with counted("label", 2000) as show:
            show(1, "$0.01")
            show(1500, "$0.75")
    assert written.getvalue().splitlines() == ["think …", "add: 2 of 2 after 0 s", "label: 1,500 of 2,000, $0.75"]


def test_a_terminal_has_bars() -> None:
    terminal = io.StringIO()
    with progress_shown(Console(file=terminal, width=100, force_terminal=True)):
        with pytest.raises(KeyError), underway("think"):
            raise KeyError
        assert list(track([1, 2], "add")) == [1, 2]
        with counted("label", 2000) as show:
            show(1500, "$0.75")
    assert "think" in terminal.getvalue()
    assert "2/2" in terminal.getvalue()
    assert "label 1,500/2,000 · $0.75" in terminal.getvalue()
    assert "after" not in terminal.getvalue()
