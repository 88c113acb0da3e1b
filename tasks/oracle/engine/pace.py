"""How a run asks: how fast, how dear, which way. None of it changes what a label says, so none is in a cache key."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

# Work on one request before the provider is taken for silent: `flex` may queue it for a quarter of an hour.
DEADLINE_S = {"online": 120.0, "flex": 1200.0, "batch": 120.0}


class Sending(BaseModel):
    """What people choose of how an API is asked: where, how fast and for how much. The key is never among it."""

    model_config = ConfigDict(frozen=True)

    max_usd: float | None = Field(
        default=None,
        ge=0,
        description="Max. spend on these labels in USD, over all attempts at them; calls in flight count. Default: no "
        "limit.",
    )
    rpm: float | None = Field(
        default=None,
        gt=0,
        description="Requests per minute and model that your quota allows. Default: no limit; set it to your "
        "account's.",
    )
    tpm: int | None = Field(
        default=None, ge=1, description="Input tokens per minute and model that your quota allows. Default: no limit."
    )
    rpm_of: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default={}, description="Requests per minute of single models, as gemini-4-argon=100. Default: --rpm for all."
    )
    tpm_of: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default={},
        description="Input tokens per minute of single models, as gemini-4-argon=50000. Default: --tpm for all.",
    )
    usd_per_10min: float | None = Field(
        default=None,
        gt=0,
        description="Spend limit of your project in USD per ten minutes (Gemini tier 1: 10, tier 2: 50, tier 3: 200). "
        "Default: no limit.",
    )
    concurrency: int = Field(
        default=64,
        ge=1,
        le=1000,
        description="Max. requests in flight per model. Lower it for a small server of your own.",
    )
    backend: Literal["online", "flex", "batch"] = Field(
        default="online",
        description="How requests are sent: online; flex, slower at half price; batch, within a day or so at half "
        "price (Gemini only).",
    )
    deadline_s: float | None = Field(
        default=None, gt=0, description="Seconds that one request may take. Default: 120, with --backend flex 1200."
    )
    batch_deadline_h: float = Field(
        default=26.0,
        gt=0,
        description="Hours that a batch job may take; what is left then is asked online, at full price.",
    )
    base_url: str | None = Field(
        default=None,
        description="Address of an OpenAI-compatible endpoint, as http://127.0.0.1:8000/v1, or of a Gemini proxy. "
        "Default: Google's; --oracle openai requires one.",
    )
    vertex: bool = Field(
        default=False,
        description="Ask Gemini through Vertex AI, with Google's default credentials in place of a key.",
    )
    vertex_project: str | None = Field(
        default=None, description="Google Cloud project that Vertex AI bills; --vertex requires it. Default: none."
    )
    vertex_location: str = Field(default="global", description="Google Cloud location that Vertex AI serves from.")
    quota: str = Field(
        default="gemini",
        pattern=r"^[\w-]+$",
        description="Prefect concurrency limit of all runs that share this quota. Change it for another account.",
    )
    prices: str | None = Field(
        default=None,
        description="TOML file with prices of models that the built-in list lacks. Default: the built-in list alone.",
    )
    allow_versions: tuple[str, ...] = Field(
        default=(),
        description="Model versions to accept beside the expected ones, where a provider answers with another. "
        "Default: none; such an answer stops the run.",
    )


class Pace(Sending):
    """Limits and ways of one labelling run."""

    job: str = Field(description="what is labelled by whom: attempts at the same job share one budget")
    run: str = Field(default="", description="which attempt; Prefect's flow run, or the process")
    window_s: float = Field(default=60.0, gt=0, description="what a minute is; less than 60 to rehearse faster")
    backoff_s: float = Field(default=1.0, gt=0, description="first wait after a transient fault; doubles up to 60 s")
    poll_s: float = Field(default=30.0, gt=0, description="first wait between looks at a batch job; grows tenfold")
    drain_s: float = Field(default=20.0, ge=0, description="how long a stopped run waits for what is in flight")
    secret: str = Field(default="gemini-api-key", description="Prefect Secret block, if the environment has no key")
    finished_only: bool = Field(default=False, description="take what the ledger has, ask nothing")

    @property
    def tier(self) -> Literal["online", "flex"]:
        """How a call goes that goes alone; what batch jobs leave over goes online."""
        return "flex" if self.backend == "flex" else "online"

    @property
    def timeout_s(self) -> float:
        """Seconds one request may take."""
        return self.deadline_s or DEADLINE_S[self.backend]
