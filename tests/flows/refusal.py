"""What a refusal looks like, whatever was refused."""

import os
from pathlib import Path

import pytest

from routecal.flows import cli

Capture = pytest.CaptureFixture[str]


def refused(capsys: Capture, *argv: str) -> str:
    """Run a command that must end with code 2, one sentence on standard error and nothing half-written."""
    capsys.readouterr()
    assert cli.main(argv) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    said = [line for line in captured.err.splitlines() if line.startswith("routecal: ")]
    assert len(said) == 1, captured.err
    assert captured.err.rstrip().endswith(said[0])
    home = Path(os.environ["ROUTECAL_HOME"])
    assert not [f for f in home.rglob(".*") if f.name.startswith((".tmp-", ".probe-"))]
    assert not list((home / "reports").rglob("*"))
    return said[0].removeprefix("routecal: ")
