"""How a run asks: how fast, how dear, which way. None of it changes what a label says, so none is in a cache key."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

# Work on one request before the provider is taken for silent: `flex` may queue it for a quarter of an hour.
DEADLINE_S = {"online": 120.0, "flex": 1200.0, "batch": 120.0}


class Pace(BaseModel):
    """Limits and ways of one labelling run."""

    model_config = ConfigDict(frozen=True)

    job: str = Field(description="what is labelled by whom: attempts at the same job share one budget")
    run: str = Field(default="", description="which attempt; Prefect's flow run, or the process")
    backend: Literal["online", "flex", "batch"] = "online"
    rpm: float | None = Field(default=None, gt=0, description="requests per minute and model")
    tpm: int | None = Field(default=None, gt=0, description="input tokens per minute and model")
    rpm_of: dict[str, float] = Field(default={}, description="model -> its own rpm")
    tpm_of: dict[str, int] = Field(default={}, description="model -> its own tpm")
    usd_per_10min: float | None = Field(default=None, gt=0, description="of the project, all models together")
    concurrency: int = Field(default=64, ge=1, description="requests in flight per model, at most")
    window_s: float = Field(default=60.0, gt=0, description="what a minute is; less than 60 to rehearse faster")
    max_usd: float | None = Field(default=None, ge=0, description="cap of the job, resumed or not")
    deadline_s: float | None = Field(default=None, gt=0, description="per request; None takes the backend's")
    backoff_s: float = Field(default=1.0, gt=0, description="first wait after a transient fault; doubles up to 60 s")
    batch_deadline_h: float = Field(default=26.0, gt=0, description="a batch job may take so long; then online")
    poll_s: float = Field(default=30.0, gt=0, description="first wait between looks at a batch job; grows tenfold")
    drain_s: float = Field(default=20.0, ge=0, description="how long a stopped run waits for what is in flight")
    allow_versions: tuple[str, ...] = Field(default=(), description="model versions accepted beside the expected ones")
    prices: str | None = Field(default=None, description="TOML file with prices to add")
    base_url: str | None = Field(default=None, description="of the Gemini API; None takes Google's")
    vertex: bool = False
    vertex_project: str | None = None
    vertex_location: str = "global"
    secret: str = Field(default="gemini-api-key", description="Prefect Secret block, if the environment has no key")
    quota: str = Field(default="gemini", description="Prefect global concurrency limit of those who share the quota")
    finished_only: bool = Field(default=False, description="take what the ledger has, ask nothing")

    @property
    def tier(self) -> Literal["online", "flex"]:
        """How a call goes that goes alone; what batch jobs leave over goes online."""
        return "flex" if self.backend == "flex" else "online"

    @property
    def timeout_s(self) -> float:
        """Seconds one request may take."""
        return self.deadline_s or DEADLINE_S[self.backend]
