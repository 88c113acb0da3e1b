"""The parameters of a night of recalibration, and of what people do with the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from routecal.flows.oracle_params import OracleParams, Params
from routecal.flows.params import EscalationParams, HeadParams, RouterParams

if TYPE_CHECKING:
    from routecal.calib.night.promotion_gate import GateRules


class NightParams(Params):
    """What a night gathers, when it labels, and what a new head must show."""

    inbox: str = Field(description="folder whose JSONL, CSV, Parquet and Arrow files hold the queries of your users")
    night_queries: int = Field(default=500, ge=1, le=100_000, description="label at most so many queries a night")
    window: int = Field(
        default=1000, ge=100, le=100_000, description="newest held-out labelled rows that heads are judged on"
    )
    memory: int = Field(default=20_000, ge=100, description="newest labelled rows that a head learns from, at most")
    recheck_nights: int = Field(
        default=7,
        ge=1,
        le=365,
        description="label even if all is well when so many nights labelled nothing: answers change without a sign",
    )
    renew_nights: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="labelled nights after which a new head takes over that is no worse, though it does no better "
        "(default: only where calibration or the queries changed)",
    )
    brier_margin: float = Field(
        default=0.01, gt=0, le=0.25, description="a new head's Brier may lie above the serving one's by less than this"
    )
    target_ece: float = Field(default=0.05, gt=0, le=1, description="a new head's ECE whose upper bound always passes")
    require_approval: bool = Field(
        default=False,
        description="before a new head is promoted, wait until somebody resumes the run in the UI, or promotes it",
    )
    approval_hours: float = Field(
        default=12.0, gt=0, le=168, description="hours to wait; afterwards `routecal promote` can still promote it"
    )

    @property
    def rules(self) -> GateRules:
        """What a candidate must show."""
        from routecal.calib.night.promotion_gate import GateRules

        return GateRules(margin=self.brier_margin, target_ece=self.target_ece)


class RecalibrateParams(EscalationParams, HeadParams, OracleParams, RouterParams, NightParams):
    """One night: gather, check the serving head, label, train, and promote a head that does better."""


class HeadsParams(Params):
    """Which head serves, and every decision that led there, newest first."""


class EntryParams(Params):
    """Which entry of the registry is meant."""

    entry: int | None = Field(
        default=None, ge=1, description="of `routecal heads` (default: the newest whose candidate waits)"
    )

    @property
    def named(self) -> str:
        """For the name of the run."""
        return "the newest" if self.entry is None else f"entry {self.entry}"


class PromoteParams(EntryParams):
    """Promote the candidate that waits for approval; with its entry and --force also one that was refused."""

    force: bool = Field(default=False, description="promote the entry's candidate although it was refused")


class DeclineParams(EntryParams):
    """Refuse the candidate that waits for approval; the head that serves goes on serving."""

    note: str = Field(default="", max_length=500, description="why; the registry and the night's page keep it")


class RollbackParams(EntryParams):
    """Put back the head that served before, or the one that an entry of `routecal heads` put in force."""

    entry: int | None = Field(default=None, ge=1, description="of `routecal heads` (default: the head before)")

    @property
    def named(self) -> str:
        """For the name of the run."""
        return "the head before" if self.entry is None else f"entry {self.entry}"
