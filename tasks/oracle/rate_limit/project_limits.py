"""What a project may ask of one model, and the two ways in which that is not enough."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from routecal.tasks.errors import TaskError

# The quotas counted in windows, as configuration and the progress line name them.
Quota = Literal["rpm", "tpm", "usd"]


class Limits(BaseModel):
    """Quota of one project for one model. The provider publishes none of it: the numbers are the operator's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rpm: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="requests per `window_s`; None: no limit"
    )
    tpm: int | None = Field(default=None, gt=0, description="input tokens per `window_s`; None: no limit")
    usd_per_10min: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="USD that may be spent per `usd_window_s`; None: no limit"
    )
    concurrency: int | None = Field(
        default=64, ge=1, description="calls in flight at most; how many serve best is found out. None: not looked at"
    )
    window_s: float = Field(
        default=60.0,
        gt=0,
        allow_inf_nan=False,
        description="seconds that rpm and tpm are counted over; benchmarks shorten it",
    )
    usd_window_s: float = Field(
        default=600.0, gt=0, allow_inf_nan=False, description="seconds that spending is counted over"
    )


class QuotaTooSmall(TaskError, ValueError):
    """One request is larger than what a whole window allows, so no waiting helps.

    Args:
        model: asked.
        what: the quota.
        limit: what one window allows, in tokens or USD.
        needed: what the request takes of it.
    """

    model: str
    what: Quota
    limit: float
    needed: float

    def __str__(self) -> str:
        if self.what == "usd":
            return (
                f"one request to {self.model} may cost {self.needed:.4f} USD, and usd_per_10min allows "
                f"{self.limit:.4f} USD in all; raise usd_per_10min, or lower max_output_tokens"
            )
        return (
            f"one request to {self.model} takes {self.needed:,.0f} of {self.what}, which allows {self.limit:,.0f} "
            f"in all; raise {self.what} if the project's quota is higher, or shorten that query"
        )


class NoProgress(TaskError):
    """A model refused every call as too fast for so long that waiting on is no plan; the run can be resumed.

    Args:
        model: asked.
        minutes: how long without one success is too long.
        wait_s: what the provider asks to wait now.
    """

    model: str
    minutes: float
    wait_s: float = 0.0
    sentence = (
        "{model} answers nothing but 'too fast', with no success within {minutes:g} minutes (it asks to wait "
        "{wait_s:.0f} s more); what is finished is kept: look up the project's quota, set rpm, tpm and usd_per_10min "
        "to it, and resume"
    )
