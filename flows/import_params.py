"""The parameters of `import`."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from routecal.flows.form import Params


class ImportParams(Params):
    """Make recorded outcomes of two models from logs that another tool wrote when it evaluated them.

    The two logs are of the same questions. What they do not share is counted and left out.
    """

    EXAMPLE: ClassVar[str] = "--from inspect --medium flash.eval --large pro.eval"

    log_format: str = Field(description="Tool that wrote the logs, by its name in the list below.")
    medium: str = Field(description="Log of the medium model.")
    large: str | None = Field(
        default=None, description="Log of the large model. Default: the same file, where it holds both models."
    )
    output: str = Field(
        default="outcomes.parquet",
        description="Parquet file to write; one that is there is replaced. Default: outcomes.parquet.",
    )
    medium_model: str | None = Field(
        default=None, description="Name of the medium model, where a log holds several. Default: the only one."
    )
    large_model: str | None = Field(
        default=None, description="Name of the large model, where a log holds several. Default: the only one."
    )
    right_at: float | None = Field(
        default=None,
        description="Lowest score of a right answer, on the log's own scale, where scores are not only 0 and 1. "
        "Default: others are refused.",
    )
    scorer: str | None = Field(
        default=None, description="Name of the score to read, where a log has several. Default: the only one."
    )
    query_field: str | None = Field(
        default=None,
        description="Field of a sample that holds the question, where the format leaves it open. Default: a usual "
        "name, such as question or query.",
    )
    task: str | None = Field(
        default=None,
        description="Name of the task, where the logs of one task name it differently. Default: as the logs say.",
    )
    columns: str | None = Field(
        default=None,
        description="Names of a table's columns where they are others than ours, such as "
        "query=question,score=is_right. Default: ours.",
    )

    @classmethod
    def listing(cls) -> dict[str, dict[str, str]]:
        """The formats."""
        from routecal.storage.eval_logs.formats import FORMATS

        return {"formats": {name: one.title for name, one in FORMATS.items()}}
