"""New queries for nights of recalibration."""

from pathlib import Path

from routecal.flows.night_params import RecalibrateParams
from tests.tasks.made import write_jsonl


def drop(params: RecalibrateParams, asked: list[str], name: str) -> None:
    """They arrive as a file."""
    write_jsonl(Path(params.inbox) / name, [{"query": text} for text in asked])
