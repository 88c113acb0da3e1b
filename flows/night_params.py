"""The parameters of a night of recalibration, and of what people do with the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from routecal.calib.settings import PromotionMargins
from routecal.flows.form import Params
from routecal.flows.oracle_params import OracleParams
from routecal.flows.params import HeadParams, RouterParams
from routecal.flows.threshold_params import EscalationParams

if TYPE_CHECKING:
    from routecal.calib.night.promotion_gate import GateRules


class NightSteps(Params):
    """How much a night labels, how often, and whether a person decides."""

    GROUP: ClassVar[str] = "night"

    night_queries: int = Field(
        default=500, ge=1, le=100_000, description="Max. number of queries to label per night; it bounds the cost."
    )
    recheck_nights: int = Field(
        default=7,
        ge=1,
        le=365,
        description="Nights without labels after which a night labels even if all looks well, since answers can change "
        "while queries do not.",
    )
    require_approval: bool = Field(
        default=False,
        description="Let a person decide: a new head is promoted once somebody resumes the run in the UI or runs "
        "`routecal promote`.",
    )
    approval_hours: float = Field(
        default=12.0,
        gt=0,
        le=168,
        description="Hours that a run waits for approval; afterwards `routecal promote` can still promote the head.",
    )


class NightParams(NightSteps, PromotionMargins):
    """What a night gathers, when it labels, and what a new head must show."""

    inbox: str = Field(
        description="Folder whose JSONL, CSV, Parquet and Arrow files hold the queries of your users, or the log of "
        "`routecal serve-router`."
    )
    window: int = Field(
        default=1000,
        ge=100,
        le=100_000,
        description="Number of held-out labelled rows, the newest, that heads are judged on. Lower it where queries "
        "change fast.",
    )
    memory: int = Field(
        default=20_000, ge=100, description="Max. number of labelled rows, the newest, that a head learns from."
    )
    renew_nights: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Nights with labels after which a new head that is no worse takes over, even if it is no better. "
        "Default: only where calibration or the queries changed.",
    )

    @property
    def rules(self) -> GateRules:
        """What a candidate must show."""
        from routecal.calib.night.promotion_gate import GateRules

        return GateRules(**self.model_dump(include=set(PromotionMargins.model_fields)))


class RecalibrateParams(EscalationParams, HeadParams, OracleParams, RouterParams, NightParams):
    """One night: gather queries, check the serving head, label, train, and promote a head that does better."""

    EXAMPLE: ClassVar[str] = "--inbox ./inbox --router-path ./my-router --oracle gemini --max-usd 5"
    FIRST: ClassVar[tuple[str, ...]] = (
        *("inbox", "router_path", "oracle", "outcomes", "night_queries", "max_usd", "require_approval"),
        *("approval_hours", "medium_price", "large_price", "template", "columns"),
    )


class HeadsParams(Params):
    """Show which head serves, and every decision that led there, newest first."""


class EntryParams(Params):
    """Which entry of the registry is meant."""

    entry: int | None = Field(
        default=None,
        ge=1,
        description="Number of an entry of `routecal heads`. Default: the newest whose candidate waits.",
    )

    @property
    def named(self) -> str:
        """For the name of the run."""
        return "the newest" if self.entry is None else f"entry {self.entry}"


class PromoteParams(EntryParams):
    """Promote the candidate that waits for approval; with --entry N --force, one that was refused."""

    force: bool = Field(default=False, description="Promote the candidate of --entry even if it was refused.")


class DeclineParams(EntryParams):
    """Refuse the candidate that waits for approval; the serving head keeps serving."""

    EXAMPLE: ClassVar[str] = "--note 'escalates too much'"

    note: str = Field(
        default="",
        max_length=500,
        description="Your reason, kept in the registry and shown on the night's page. Default: none.",
    )


class RollbackParams(EntryParams):
    """Put back the head that served before, or with --entry N the one that this entry promoted."""

    entry: int | None = Field(
        default=None, ge=1, description="Number of an entry of `routecal heads`. Default: the head that served before."
    )

    @property
    def named(self) -> str:
        """For the name of the run."""
        return "the head before" if self.entry is None else f"entry {self.entry}"
