"""Parameters of the flows that label. See `flows.params` for the rules."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AliasChoices, BaseModel, Field, create_model

from routecal.flows.engine_params import EngineParams
from routecal.flows.form import Params
from routecal.tasks.oracle.engine.pace import Sending
from routecal.tasks.oracle.oracle_registry import ORACLES, ApiName, OracleName

Thinking = Literal["none", "minimal", "low", "medium", "high"]
_NO_LEVELS = "Give none for a server that knows no levels."

Columns = Annotated[
    str | None,
    Field(
        description="Names of your files' columns where they differ from ours, as query=question,ground_truth=answer; "
        "they hold for queries and outcomes. Default: our names.",
    ),
]
ShardSize = Annotated[
    int,
    Field(ge=1, le=5000, description="Queries per task, which is how much work an interruption can cost."),
]


class QueryParams(Params):
    """Which queries."""

    GROUP: ClassVar[str] = "queries"

    queries: str = Field(
        description="A JSONL, CSV, Parquet or Arrow file with a column query; the columns ground_truth, aliases, "
        "topic, id and context are optional.",
        validation_alias=AliasChoices("queries", "validation_file"),
    )
    columns: Columns = None
    limit: int | None = Field(
        default=None,
        ge=1,
        description="Max. number of queries, drawn by a hash of their text, so that a repeat draws the same. Default: "
        "all.",
    )


class ProviderParams(Params, Sending):
    """Where an API oracle asks, how fast and for how much. The key is never a parameter: see README."""

    GROUP: ClassVar[str] = "API"

    on_day_quota: Literal["stop", "wait", "schedule"] = Field(
        default="stop",
        description="What to do once a day's quota is used up: stop, so that a repeat goes on; wait for the reset; or "
        "schedule a run of the deployment for then.",
    )
    secret_block: str = Field(
        default="gemini-api-key",
        description="Prefect Secret block that holds the API key, read where the environment has none.",
    )


class JudgeParams(Params):
    """Who grades the answers."""

    GROUP: ClassVar[str] = "judge"

    judge: Literal["model", "decision"] = Field(
        default="model",
        description="How answers are graded: model lets a model write a grade for each answer; decision lets "
        "gemini-decision-1 choose the grades of both at once (Gemini only).",
    )
    judge_model: str | None = Field(default=None, description="Name of the first judge. Default: the medium model.")
    judge_thinking: Thinking = Field(default="low", description=f"Thinking level of the judges. {_NO_LEVELS}")
    second_judge: str | None = Field(
        default=None,
        description="Name of a model that is asked where the first judge is unsure. Default: none is asked.",
    )
    third_judge: str | None = Field(
        default=None,
        description="Name of a model that decides where the other two judges differ. Default: none is asked.",
    )
    judge_below: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Confidence, from 0 to 1, below which the first judge counts as unsure. Default: 0.7 where there "
        "is a second judge.",
    )
    always_second: bool = Field(
        default=False, description="Ask the second judge about every answer, not only where the first is unsure."
    )
    judge_json: Literal["schema", "object", "prompt"] = Field(
        default="schema",
        description="How judges are held to JSON: by a schema; object: by the mode for JSON of any form; prompt: by "
        "the prompt alone. Change it for servers without schemas.",
    )


if TYPE_CHECKING:
    _OwnOptions = BaseModel
else:
    _own = tuple(oracle.options for oracle in ORACLES.values() if oracle.options)
    _OwnOptions = create_model("OwnOptions", __base__=_own or BaseModel)


class AnsweringParams(Params, _OwnOptions):
    """Which oracle, and whose answers it compares."""

    GROUP: ClassVar[str] = "oracle"

    oracle: OracleName = Field(
        default="replay",
        description=f"Source of the true policies: {', '.join(f'{o.name} {o.does}' for o in ORACLES.values())}.",
    )
    outcomes: str | None = Field(
        default=None,
        description="A file of recorded outcomes for --oracle replay, with the columns query, medium_label and "
        "large_label. Default: the queries file; a night requires one.",
    )
    columns: Columns = None
    local_model: str | None = Field(
        default=None,
        description="Folder of the causal-LM checkpoint that answers; --oracle local requires it. Default: none.",
    )
    local_model_name: str = Field(default="a local model", description="Name of the local model in the report.")
    medium_model: str | None = Field(
        default=None,
        description="Name of the medium model, for --oracle gemini or openai. Default: gemini-3.8-flash; openai "
        "requires one.",
    )
    large_model: str | None = Field(
        default=None,
        description="Name of the large model, for --oracle gemini or openai. Default: gemini-4-argon; openai requires "
        "one.",
    )
    medium_thinking: Thinking = Field(
        default="low",
        description=f"Thinking level of the medium model; thinking is billed as output. {_NO_LEVELS}",
    )
    large_thinking: Thinking = Field(
        default="low",
        description=f"Thinking level of the large model; thinking is billed as output. {_NO_LEVELS}",
    )
    max_output_tokens: int = Field(
        default=4096,
        ge=256,
        le=65536,
        description="Max. output tokens per request, thinking included. Small caps pay for empty answers; raise it "
        "where answers are cut.",
    )
    finished_only: bool = Field(
        default=False,
        description="Label only what has been answered already; nothing is asked or paid. Use it after a run that "
        "stopped.",
    )
    shard_size: ShardSize = 500


# Pydantic lists the fields of the last base first.
class OracleParams(ProviderParams, JudgeParams, AnsweringParams):
    """Which oracle finds the true policies."""


class LabelParams(EngineParams, OracleParams, QueryParams):
    """Find the true policy of every query: replay outcomes, or ask and grade two models.

    The policy says whether the medium model is enough (Standard_Query), the large one is needed (Complex_Query) or
    neither helps (Ambiguous_Query). Paid answers are stored before they are read and are never paid for twice.
    """

    EXAMPLE: ClassVar[str] = "--queries questions.jsonl --oracle gemini --max-usd 5"
    FIRST: ClassVar[tuple[str, ...]] = (
        *("queries", "oracle", "outcomes", "limit", "columns", "max_usd", "rpm", "usd_per_10min", "dry_run", "audit"),
        *("audit_file", "medium_model", "large_model", "base_url"),
    )

    dry_run: bool = Field(
        default=False, description="Only say what labelling would cost and how long it would take; nothing is asked."
    )
    audit: int | None = Field(
        default=None,
        ge=1,
        description="Number of graded answers to draw into a CSV file for people to grade, once all is labelled. "
        "Default: none.",
    )
    audit_file: str = Field(default="audit.csv", description="CSV file that --audit writes.")


class ToRejudge(Params):
    """Which labels, and where their judges are."""

    labels: str | None = Field(
        default=None, description="A labels artifact whose answers are stored. Default: the newest labels."
    )
    queries: str | None = Field(
        default=None, description="A queries artifact. Default: the one recorded with these labels."
    )
    oracle: ApiName = Field(default="gemini", description="API that serves the judges, wherever the answers came from.")
    max_output_tokens: int = Field(
        default=4096,
        ge=256,
        le=65536,
        description="Max. output tokens per judgement, thinking included. Small caps pay for empty replies.",
    )
    shard_size: ShardSize = 500


class RejudgeParams(ProviderParams, JudgeParams, ToRejudge):
    """Grade the stored answers again with other judges; no model is asked for an answer."""

    EXAMPLE: ClassVar[str] = "--judge-model gemini-4-argon --max-usd 5"
    FIRST: ClassVar[tuple[str, ...]] = (
        *("judge_model", "second_judge", "third_judge", "labels", "oracle", "max_usd", "rpm", "usd_per_10min"),
        "base_url",
    )

    judge_model: str | None = Field(
        default=None, description="Name of the first judge. Default: gemini-3.8-flash; --oracle openai requires one."
    )


class AuditParams(Params):
    """Say how often the judge is right, from a sheet of `label --audit` that people filled in."""

    EXAMPLE: ClassVar[str] = "--file audit.csv"

    file: str = Field(description="The sheet, a CSV file with the column human_grade filled in.")
    labels: str | None = Field(
        default=None, description="The labels artifact that the sheet was drawn from. Default: the newest labels."
    )


class LedgerParams(Params):
    """List what API oracles have cost so far, by day, model and stage."""
