"""What a night comes to: what is stored of it, and what it still has to do once it has decided.

Apart from what draws and trains, so that whoever looks at the registry loads neither matplotlib nor torch.
"""

from pydantic import BaseModel, Field

from routecal.calib.night.head_health import Health
from routecal.calib.night.promotion_gate import GateVerdict
from routecal.storage.artifact import Artifact

# The flow of a night, and in its manifest and entries the fact that says whose night it was.
FLOW, KEY = "recalibrate", "key"
# In an entry of the registry: how its night ends.
ENDING = "ending"


class Night(BaseModel, frozen=True):
    """What a night found and decided."""

    run_id: str
    action: str = Field(
        description="promoted, refused, waiting, overtaken; quiet: nothing labelled; gathering: too few rows"
    )
    reasons: tuple[str, ...] = Field(description="why, in sentences")
    n_new: int = Field(description="queries without a label")
    n_labelled: int = 0
    n_files: int = 0
    unreadable: tuple[str, ...] = Field(default=(), description="files that were passed over")
    cost_usd: float | None = Field(default=None, description="of tonight's labels, as far as prices are known")
    health: Health | None = Field(default=None, description="of the head that served before")
    verdict: GateVerdict | None = None
    escalated: float | None = Field(default=None, description="share that the serving head escalates afterwards")
    money: str = Field(default="", description="what the candidate saves by its own evaluation, in a sentence")
    alarm: str = Field(
        default="", description="what nights found against the head that serves afterwards: its guarantee is void"
    )
    serving: str = Field(default="", description="version of the head that serves afterwards")
    report: str | None = None
    served: tuple[str, ...] = Field(default=(), description="what was served since, in sentences, where that is known")


class Ending(BaseModel, frozen=True):
    """What a night that has decided still has to do: publish and record. Its decision carries this along.

    A night that is killed in between is ended by whichever comes next, its own Retry or another night.
    """

    night: Night
    key: str = Field(description="see `tasks.night.label_history.key_of`")
    made: dict[str, Artifact] = Field(description="by the names that the night's manifest has for them")
    is_doubted: bool = Field(default=False, description="its outcomes changed and no change of the queries explains it")
