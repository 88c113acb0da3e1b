"""The folder that `CalibratedRouter` opens: what a head must say to be served, and where its router lies."""

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import Field

from routecal.calib.checkpoint_errors import CheckpointMissing, NoOutcomeHead, NotServable
from routecal.calib.extra_cost import Prices
from routecal.calib.head import LoadedHead, familiarity, load
from routecal.calib.head.head_folder import CONFIG, WEIGHTS
from routecal.calib.head.hub import fetch
from routecal.calib.heads_digest import heads_sha256
from routecal.calib.outcome import outcome_folder
from routecal.calib.outcome.head import OutcomeHead
from routecal.calib.router.pooling import DEFAULT
from routecal.calib.serving_rule import ServingRule

# A folder that carries its router along has it here, and says so in `Serving.router`.
ROUTER = "router"
# What a folder may hold, as patterns.
FILES = (CONFIG, WEIGHTS, outcome_folder.WEIGHTS, outcome_folder.CONFIG, familiarity.WEIGHTS, f"{ROUTER}/*")


class Serving(ServingRule):
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
    outcome_layers: tuple[int, ...] | None = Field(
        default=(), description="layers read for the outcome head, mean-pooled; None takes those in the middle"
    )
    head_version: str = Field(default="", description="version of the head this was made of")


def pack(
    head: LoadedHead,
    serving: Serving,
    folder: Path,
    outcome_head: OutcomeHead | None = None,
    familiar: familiarity.Familiarity | None = None,
) -> None:
    """Write a head folder that says how it is served: `CalibratedRouter.from_pretrained` opens it.

    The router itself is not copied. To carry it along (to the Hub, say), copy it to `router` in the folder and give
    "router" as `serving.router`.

    Args:
        head: trained, with its recalibrator.
        serving: kept in config.json under lineage, "serving".
        folder: where; made if need be.
        outcome_head: read off the same router; without one the folder decides by confidence.
        familiar: what the queries of the calibration look like; without it no query is told to be unlike them.

    Raises:
        NoOutcomeHead: it is to decide by the gain, and there is no outcome head.
    """
    if serving.decides_by == "gain" and outcome_head is None:
        raise NoOutcomeHead(str(folder))
    lineage = {**head.config.get("lineage", {}), "serving": json.loads(serving.model_dump_json())}
    metrics = head.config.get("metrics")
    head.head.save_pretrained(folder, recalibrator=head.recalibrator, lineage=lineage, metrics=metrics)
    if outcome_head is not None:
        outcome_folder.save_outcome_head(outcome_head, folder)
    if familiar is not None:
        familiar.save(folder)


def bound_to(
    serving: Serving, head: LoadedHead, outcome_head: OutcomeHead | None, router_sha256: str
) -> dict[str, str]:
    """sha256 of what a guarantee rests on, as far as a packed folder holds it: fields of `calib.promise`'s `Bound`."""
    return {
        "head": heads_sha256(head, outcome_head),
        "router": router_sha256,
        "template": hashlib.sha256(serving.template.encode()).hexdigest(),
        "prices": serving.prices_sha256,
        "policy_map": serving.policy_map.sha256,
    }


def serving_in(folder: Path) -> Serving:
    """What a packed folder says.

    Raises:
        CheckpointMissing, HeadUnusable: it holds no head.
        NotServable: the head was not packed.
    """
    return serving_of(load(folder), str(folder), None, None)


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
