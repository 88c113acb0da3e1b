"""The folder that `CalibratedRouter` opens: what a head must say to be served, and where its router lies."""

import hashlib
import math
import sys
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from routecal.calib.checkpoint_errors import CheckpointMissing, NoOutcomeHead, NotServable
from routecal.calib.errors import OutOfRange
from routecal.calib.extra_cost import ExtraCost, Prices
from routecal.calib.head import LoadedHead
from routecal.calib.head.head_folder import CONFIG, WEIGHTS
from routecal.calib.head.hub import fetch
from routecal.calib.outcome import outcome_folder
from routecal.calib.outcome.head import OutcomeHead
from routecal.calib.router.pooling import DEFAULT

# A folder that carries its router along has it here, and says so in `Serving.router`.
ROUTER = "router"
# What a folder may hold, as patterns.
FILES = (CONFIG, WEIGHTS, outcome_folder.WEIGHTS, outcome_folder.CONFIG, f"{ROUTER}/*")


class Serving(BaseModel, frozen=True):
    """What a head folder must say, under "serving" in its lineage, so that it can be served."""

    router: str = Field(
        description="its router: a local folder, absolute or relative to the head's, or a name of the Hub"
    )
    template: str = Field(default="{query}", description="prompt around {query}")
    dtype: str = Field(default="auto", description="dtype to compute in")
    max_tokens: int | None = Field(default=None, description="reading window; None takes the router's")
    layers: tuple[int, ...] = Field(default=(-1,), description="layers read")
    poolings: tuple[str, ...] = Field(default=("last",), description="how each is pooled")
    blocks: tuple[str, ...] = Field(default=(DEFAULT,), description="what the head's hidden state is made of, in order")
    outcome_layers: tuple[int, ...] = Field(default=(), description="layers read for the outcome head, mean-pooled")
    decides_by: Literal["confidence", "gain"] = Field(
        default="confidence",
        description="confidence: the large model serves complex queries, and others below the threshold; gain: those "
        "whose gain per relative extra cost is above it, whatever their policy",
    )
    threshold: float = Field(description="of the confidence, or of the gain per relative extra cost")
    threshold_from: str = Field(default="", description="on which rows and by what rule it was chosen")
    head_version: str = Field(default="", description="version of the head this was made of")
    extra_cost: ExtraCost = Field(default=ExtraCost(), description="relative extra cost of a query")
    prices: Prices | None = Field(default=None, description="flat prices that the threshold was chosen at")
    answer_value: float | None = Field(
        default=None, gt=0, description="worth of a right answer, where that chose the threshold: it moves with prices"
    )

    @field_validator("threshold")
    @classmethod
    def _finite(cls, threshold: float) -> float:
        """All-large and all-medium are thresholds that no number passes; JSON has no infinity."""
        if math.isnan(threshold):
            raise ValueError("a threshold cannot be NaN")
        return min(max(threshold, -sys.float_info.max), sys.float_info.max)

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        if self.decides_by == "confidence" and self.threshold < 0:
            raise ValueError("a threshold of the confidence is at least 0")
        return self

    def at(self, *, threshold: float | None, prices: Prices | None) -> Self:
        """The same with another threshold or other prices; nothing is trained for it.

        Other prices move the threshold where the value of an answer chose it: the large model then serves where
        gain · value > extra cost. A threshold of another kind stays where it is.

        Raises:
            OutOfRange: the large model is not the dearer one.

        >>> Serving(router="r", decides_by="gain", threshold=0.1, answer_value=100).at(
        ...     threshold=None, prices=Prices(medium=1, large=21)
        ... ).threshold
        0.2
        """
        changes: dict[str, Any] = {} if threshold is None else {"threshold": threshold}
        if prices is not None:
            if prices.extra <= 0:
                raise OutOfRange("price of the large model", prices.large, f"more than {prices.medium:g}, the medium's")
            changes |= {"prices": prices, "extra_cost": ExtraCost()}
            if self.answer_value is not None and threshold is None:
                changes["threshold"] = prices.extra / self.answer_value
        return type(self).model_validate(self.model_dump() | changes)


def pack(head: LoadedHead, serving: Serving, folder: Path, outcome_head: OutcomeHead | None = None) -> None:
    """Write a head folder that says how it is served: `CalibratedRouter.from_pretrained` opens it.

    The router itself is not copied. To carry it along (to the Hub, say), copy it to `router` in the folder and give
    "router" as `serving.router`.

    Args:
        head: trained, with its recalibrator.
        serving: kept in config.json under lineage, "serving".
        folder: where; made if need be.
        outcome_head: read off the same router; without one the folder decides by confidence.

    Raises:
        NoOutcomeHead: it is to decide by the gain, and there is no outcome head.
    """
    if serving.decides_by == "gain" and outcome_head is None:
        raise NoOutcomeHead(str(folder))
    lineage = {**head.config.get("lineage", {}), "serving": serving.model_dump(mode="json")}
    metrics = head.config.get("metrics")
    head.head.save_pretrained(folder, recalibrator=head.recalibrator, lineage=lineage, metrics=metrics)
    if outcome_head is not None:
        outcome_folder.save_outcome_head(outcome_head, folder)


def serving_of(
    head: LoadedHead, name: str, router: str | Path | None, threshold: float | None, prices: Prices | None = None
) -> Serving:
    """What the folder says, with what the caller says instead."""
    said: dict[str, Any] = dict(head.config.get("lineage", {}).get("serving", {}))
    given = {"router": None if router is None else str(router), "threshold": threshold}
    said |= {key: value for key, value in given.items() if value is not None}
    if missing := tuple(key for key in given if key not in said):
        raise NotServable(name, missing)
    return Serving.model_validate(said).at(threshold=threshold, prices=prices)


def router_folder(router: str, head_folder: Path, hub: tuple[Any, ...]) -> Path:
    """The router's checkpoint: beside the head, in a local folder, or fetched from the Hub."""
    places = [head_folder / router, Path(router).expanduser()]
    if Path(router).is_absolute():
        # Version 0.1 wrote whole paths. Artifacts that were moved since lie beside each other as they did then.
        places.append(head_folder.parent.parent.joinpath(*Path(router).parts[-2:]))
    for place in places:
        if (place / "config.json").is_file():
            return place
    if router == ROUTER or len(Path(router).parts) != 2:
        raise CheckpointMissing(
            router, "Hugging Face checkpoint (config.json); say where the head's router is with router=…"
        )
    return fetch(router, ("*",), None, *hub[1:])


def version_of(folder: Path) -> str:
    """A name for a head that has none: the digest of its files, wherever they lie."""
    files = [folder / name for name in FILES[:-1]]
    content = b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files if file.is_file())
    return hashlib.sha256(content).hexdigest()[:16]
