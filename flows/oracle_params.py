"""Parameters of the flows that label, apart from the others: they need no torch, and labelling runs need the memory.

See `flows.params` for the rules.
"""

from typing import Annotated, Literal

from pydantic import AliasChoices, Field

from routecal.flows.form import Params

# Models that answer and grade unless others are named, of the gemini oracle.
MEDIUM, LARGE, DECISION = "gemini-3.8-flash", "gemini-4-argon", "gemini-decision-1"

Thinking = Literal["none", "minimal", "low", "medium", "high"]


Columns = Annotated[
    str | None,
    Field(
        description="what your files call our columns, as query=question,ground_truth=answer; of queries and outcomes"
    ),
]


class QueryParams(Params):
    """Which queries."""

    queries: str = Field(
        description="JSONL, CSV, Parquet or Arrow file with a column query and, optionally, ground_truth, aliases, "
        "topic, id, context",
        validation_alias=AliasChoices("queries", "validation_file"),
    )
    columns: Columns = None
    limit: int | None = Field(default=None, ge=1, description="use this many, drawn by a hash of their text")


class ProviderParams(Params):
    """Where an API oracle asks, how fast and for how much. The key is never a parameter: see README."""

    max_usd: float | None = Field(
        default=None, ge=0, description="never spend more on these labels, over all attempts at them"
    )
    rpm: float | None = Field(default=None, gt=0, description="requests per minute and model that your quota allows")
    tpm: int | None = Field(default=None, ge=1, description="input tokens per minute and model")
    rpm_of: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default={}, description="model=N: another rpm for that model"
    )
    tpm_of: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default={}, description="model=N: another tpm for that model"
    )
    usd_per_10min: float | None = Field(
        default=None, gt=0, description="the project's spend limit in ten minutes (tier 1: 10, tier 2: 50, tier 3: 200)"
    )
    concurrency: int = Field(default=64, ge=1, le=1000, description="requests in flight per model, at most")
    backend: Literal["online", "flex", "batch"] = Field(
        default="online", description="flex: half price, slower; batch: half price, within a day or so (Gemini only)"
    )
    on_day_quota: Literal["stop", "wait", "schedule"] = Field(
        default="stop",
        description="when a day's quota is used up: stop as resumable, wait for the reset, or schedule a run then",
    )
    deadline_s: float | None = Field(
        default=None, gt=0, description="seconds one request may take (default: 120, flex 1200)"
    )
    batch_deadline_h: float = Field(default=26.0, gt=0, description="hours a batch job may take before it goes online")
    base_url: str | None = Field(default=None, description="of an OpenAI-compatible endpoint, or of a Gemini proxy")
    vertex: bool = Field(default=False, description="Gemini through Vertex AI, with Google's default credentials")
    vertex_project: str | None = Field(default=None, description="Google Cloud project, for Vertex")
    vertex_location: str = Field(default="global", description="Google Cloud location, for Vertex")
    secret_block: str = Field(
        default="gemini-api-key", description="Prefect Secret block with the key, if the environment has none"
    )
    quota: str = Field(
        default="gemini", pattern=r"^[\w-]+$", description="Prefect concurrency limit of flows that share this quota"
    )
    prices: str | None = Field(default=None, description="TOML file with prices to add to ours")
    allow_versions: list[str] = Field(default=[], description="model versions to accept beside the expected ones")


class JudgeParams(Params):
    """Who grades the answers."""

    judge: Literal["model", "decision"] = Field(
        default="model", description="model: writes a grade; decision: gemini-decision-1 chooses one for both answers"
    )
    judge_model: str | None = Field(default=None, description="first judge (default: the medium model)")
    judge_thinking: Thinking = Field(default="low", description="thinking level of the judges")
    second_judge: str | None = Field(default=None, description="model asked when the first is unsure")
    third_judge: str | None = Field(default=None, description="model that breaks the tie of the other two")
    judge_below: float | None = Field(
        default=None, ge=0, le=1, description="how sure the first judge must be (default .7 with a second judge)"
    )
    always_second: bool = Field(default=False, description="ask the second judge about every answer")
    judge_json: Literal["schema", "object", "prompt"] = Field(
        default="schema",
        description="what holds judges to JSON: a schema; JSON of any form, or the prompt alone, for servers without",
    )


class AnsweringParams(Params):
    """Which oracle, and whose answers it compares."""

    oracle: Literal["replay", "local", "gemini", "openai"] = Field(
        default="replay",
        description="replay: recorded outcomes; local: a causal model on this machine; gemini: Gemini models; "
        "openai: any OpenAI-compatible endpoint (vLLM, Ollama, LiteLLM …)",
    )
    outcomes: str | None = Field(
        default=None, description="recorded outcomes, for replay (default: the queries file; a night has none)"
    )
    columns: Columns = None
    local_model: str | None = Field(default=None, description="folder of the causal-LM checkpoint, for local")
    local_model_name: str = Field(default="a local model", description="what the report calls it")
    medium_model: str | None = Field(default=None, description="for gemini (default gemini-3.8-flash) and openai")
    large_model: str | None = Field(default=None, description="for gemini (default gemini-4-argon) and openai")
    medium_thinking: Thinking = Field(default="low", description="thinking level of the medium model; billed as output")
    large_thinking: Thinking = Field(default="low", description="thinking level of the large model")
    max_output_tokens: int = Field(
        default=4096, ge=256, le=65536, description="per request, thinking included: small caps buy empty answers"
    )
    finished_only: bool = Field(default=False, description="label what is answered already; ask nothing, pay nothing")
    shard_size: int = Field(default=500, ge=1, le=5000, description="queries per task: what a crash can cost")


# Pydantic lists the fields of the last base first, and so do form and help.
class OracleParams(ProviderParams, JudgeParams, AnsweringParams):
    """Which oracle finds the true policies."""


class LabelParams(OracleParams, QueryParams):
    """Find the true policy of every query."""

    dry_run: bool = Field(default=False, description="say what it would cost and how long it would take; ask nothing")
    audit: int | None = Field(
        default=None, ge=1, description="afterwards draw this many graded answers to a CSV file for people to grade"
    )
    audit_file: str = Field(default="audit.csv", description="where that sample goes")


class ToRejudge(Params):
    """Which labels, and where their judges are."""

    labels: str | None = Field(default=None, description="labels artifact with answers (default: the newest)")
    queries: str | None = Field(default=None, description="queries artifact (default: recorded with these labels)")
    oracle: Literal["gemini", "openai"] = Field(
        default="gemini", description="who serves the judges, wherever the answers came from"
    )
    max_output_tokens: int = Field(
        default=4096, ge=256, le=65536, description="per judgement, thinking included: small caps buy empty answers"
    )
    shard_size: int = Field(default=500, ge=1, le=5000, description="labels per task: what a crash can cost")


class RejudgeParams(ProviderParams, JudgeParams, ToRejudge):
    """Grade stored answers again with other judges, and ask no model for an answer."""

    judge_model: str | None = Field(default=None, description="first judge (default for gemini: gemini-3.8-flash)")


class AuditParams(Params):
    """Score a sheet of `label --audit` that people filled in: how often, and how, the judge errs."""

    file: str = Field(description="the sheet, a CSV file with the column human_grade filled in")
    labels: str | None = Field(default=None, description="labels the sheet was drawn from (default: the newest)")


class LedgerParams(Params):
    """What API oracles have cost so far, by day, model and stage."""
