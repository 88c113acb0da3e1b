"""What people see while a long step goes on."""

import io
import logging

from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console

from tasks.progress import shown


def test_our_warnings_are_printed_once_and_other_libraries_keep_theirs() -> None:
    terminal, elsewhere = io.StringIO(), io.StringIO()
    root, theirs = logging.getLogger(), PrefectConsoleHandler(stream=elsewhere)
    root.addHandler(theirs)
    try:
        with shown(Console(file=terminal, width=40)):
            logging.getLogger("tasks.oracle.engine.desk").warning("%d calls [were] in flight as one died", 7)
            logging.getLogger("tasks.oracle.engine.desk").info("nobody reads this")
            logging.getLogger("aiohttp.client").warning("a stranger's")
        # In one piece, however narrow the terminal, and with its brackets.
        assert "warning: 7 calls [were] in flight as one died\n" in terminal.getvalue()
        assert "nobody" not in terminal.getvalue() + elsewhere.getvalue()
        assert "stranger" in elsewhere.getvalue()
        assert "stranger" not in terminal.getvalue()
        assert "in flight" not in elsewhere.getvalue()
        logging.getLogger("tasks.oracle.engine.desk").warning("afterwards")
        assert "afterwards" in elsewhere.getvalue()
        assert "afterwards" not in terminal.getvalue()
    finally:
        root.removeHandler(theirs)
