"""The examples in docstrings are true."""

import doctest
import importlib
from pathlib import Path

import pytest

from tests.test_layering import ROOT

ROOMS = ("calib", "flows", "routecal", "storage", "tasks")
FILES = sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py") if ">>>" in file.read_text("utf-8"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_examples(file: Path) -> None:
    parts = file.relative_to(ROOT).with_suffix("").parts
    name = ".".join(part for part in ("routecal", *parts[parts[0] == "routecal" :]) if part != "__init__")
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted
    assert not result.failed
