"""No key reaches the ledger or a log."""

import logging
from pathlib import Path
from typing import Any

import pytest

from routecal.storage.ledger.url import locate
from tests.tasks.oracle.gemini_calls import KEY


@pytest.fixture(autouse=True)
def _no_key_is_told(caplog: pytest.LogCaptureFixture) -> Any:
    with caplog.at_level(logging.INFO):
        yield
    kept = b"".join(path.read_bytes() for path in Path(locate().database or "").parent.glob("ledger.sqlite*"))
    assert KEY.encode() not in kept
    assert KEY not in caplog.text
