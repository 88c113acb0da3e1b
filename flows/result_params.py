"""The parameters of the commands that show or hand out what a run stored."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import Field

from routecal.flows.form import Params

# `storage.query_identity.SPLITS`, which forms need written out (a test holds it).
SplitName = Literal["train", "calibration", "validation", "test"]


class StatsParams(Params):
    """Show one statistic of labels, a run or its nights by its NAME; without a name, balance, cost and reliability."""

    EXAMPLE: ClassVar[str] = "coverage"
    POSITIONAL: ClassVar[str | None] = "name"

    name: str | None = Field(
        default=None,
        description="Name of the statistic, which may also stand without --name. Default: those to look at first.",
    )
    run: str | None = Field(
        default=None,
        description="Id of the run, as the names in artifacts/runs have it; of statistics of nights, the last night "
        "that counts. Default: the newest that made what is read.",
    )
    method: str | None = Field(
        default=None, description="Name of the method whose confidence is shown. Default: the last head of the run."
    )
    split: SplitName | None = Field(default=None, description="Rows whose confidence is shown. Default: test.")
    n_bins: int | None = Field(
        default=None, ge=1, le=1000, description="Number of bins, equally wide, of reliability and ECE. Default: 10."
    )
    since: datetime | None = Field(
        default=None,
        description="A time such as 2026-11-22 or 2026-11-22T03:00 (UTC), at which the second window of drift begins. "
        "Default: the middle of the time; of a night, that night.",
    )

    @classmethod
    def listing(cls) -> dict[str, dict[str, str]]:
        """The names, and what each shows."""
        from routecal.storage.query_files import line, names

        words = {
            "method": "METHOD",
            "split": "SPLIT",
            "windows": "two windows of time, or a night against earlier ones",
        }
        return {"names": {name: line(name, "title").format(**words) for name in names()}}


class ExportParams(Params):
    """Write one run's examples as JSONL, or its calibrated router as a gateway reads it."""

    EXAMPLE: ClassVar[str] = "--output-file examples.jsonl"

    to: Literal["jsonl", "switchyard"] = Field(
        default="jsonl",
        description="What is written: jsonl, examples with query, router_policy, true_policy, is_correct and "
        "target_confidence; switchyard, a checkpoint of NVIDIA Switchyard's prefill router that decides as the "
        "calibrated router does.",
    )
    output_file: str | None = Field(
        default=None,
        description="File to write; one that is there is replaced. Default: sft_data.jsonl, with --to switchyard "
        "router.pt.",
    )
    run: str | None = Field(
        default=None,
        description="Id of the run, as the names in artifacts/runs have it. Default: the newest that has examples, or "
        "a calibrated router.",
    )
    held_out: bool = Field(
        default=False,
        description="Write the test rows too, which no head may learn from, and the split of every row.",
    )
    head: str | None = Field(
        default=None,
        description="Packed folder that is written with --to switchyard, as calibrate and threshold make it. Default: "
        "the one of the run.",
    )
    encoder: str | None = Field(
        default=None,
        description="Folder or Hub name by which Switchyard finds the router's checkpoint. Default: the folder where "
        "it is on this machine.",
    )
