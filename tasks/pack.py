"""Heads packed with the rule that they serve by: the folder that `CalibratedRouter.from_pretrained` opens."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from routecal.calib.head import LoadedHead, load
from routecal.calib.head.familiarity import Familiarity
from routecal.calib.outcome.head import OutcomeHead
from routecal.calib.outcome.outcome_folder import holds_outcome_head, load_outcome_head
from routecal.calib.packed_folder import Serving, bound_to, pack, router_folder, serving_in
from routecal.calib.serving_rule import ServingRule
from routecal.calib.settings import Reading
from routecal.storage.artifact import Artifact
from routecal.storage.atomic import local_path
from routecal.storage.folder_artifact import local_folder, write_folder
from routecal.storage.head_registry import GUARANTEE, PROMISE
from routecal.storage.layout import Home
from routecal.tasks.cache import step
from routecal.tasks.guarantees import Basis, guarantee_of


@step("pack", "pack the router, which decides by {rule.decides_by}", on=("calib.packed_folder", "tasks.guarantees"))
def pack_router(
    head: Artifact,
    router: Artifact,
    reading: Reading,
    rule: ServingRule,
    outcome_head: Artifact | None = None,
    basis: Basis | None = None,
    familiarity: Artifact | None = None,
) -> Artifact:
    """The head's folder, with its router's place, the rule and the outcome head, if there is one.

    Args:
        head: the confidence head.
        router: its router.
        reading: how that read the queries.
        rule: to serve by.
        outcome_head: of the same router; None where labels taught none.
        basis: what the promise for the rule's threshold was made from; None: nothing is promised.
        familiarity: what the queries of the calibration look like, as `fit_familiarity` found; None: unknown.

    Raises:
        NoOutcomeHead: the rule is to decide by the gain, and no outcome head is given.
    """
    loaded, home = load(local_folder(head)), Home.from_env()
    outcomes = None if outcome_head is None else load_outcome_head(local_folder(outcome_head))
    familiar = None if familiarity is None else Familiarity.load(local_folder(familiarity))
    inside = home.relative(router.uri)
    # Of a router among the artifacts its place beside the head, so that both can be moved together.
    is_beside = inside != router.uri and local_path(home.root) is not None
    read = reading.model_dump(exclude={"verbal"}) | ({} if outcomes else {"outcome_layers": ()})
    serving = Serving(
        router=f"../../{inside}" if is_beside else router.uri,
        **read,
        **dict(rule),
        blocks=loaded.blocks,
        head_version=head.sha256[:16],
    )
    serving = _guaranteed(serving, loaded, outcomes, router.sha256, basis)

    def build(folder: Path) -> None:
        pack(loaded, serving, folder, outcomes, familiar)

    return write_folder("calibrated", build, home=home)


@step("pack again", "pack {calibrated.uri} with another rule", on=("calib.packed_folder", "tasks.guarantees"))
def with_rule(calibrated: Artifact, rule: ServingRule, basis: Basis | None = None) -> Artifact:
    """A packed folder with another rule; its heads and its router are the same.

    Args:
        calibrated: the folder.
        rule, basis: as in `pack_router`.

    Raises:
        NoOutcomeHead: the rule is to decide by the gain, and the folder holds no outcome head.
    """
    opened = _open(local_folder(calibrated))
    router = str(opened.head.config["lineage"]["feature_schema"]["router_sha256"])
    serving = opened.serving.model_copy(update=dict(rule))
    serving = _guaranteed(serving, opened.head, opened.outcome_head, router, basis)

    def build(folder: Path) -> None:
        pack(opened.head, serving, folder, opened.outcome_head, opened.familiar)

    return write_folder(calibrated.kind, build, home=Home.from_env())


def promise_in(calibrated: Artifact) -> dict[str, Any]:
    """What the registry keeps of a packed folder's guarantee; nothing where it has none."""
    guarantee = rule_in(calibrated).guarantee
    return {} if guarantee is None else {PROMISE: str(guarantee), GUARANTEE: json.loads(guarantee.model_dump_json())}


def rule_in(calibrated: Artifact) -> ServingRule:
    """What a packed folder decides by."""
    return serving_in(local_folder(calibrated))


def copy_packed(calibrated: Artifact, folder: str) -> None:
    """Write a packed folder where a person wants it; it then names its router by a whole path."""
    own = local_folder(calibrated)
    opened = _open(own)
    place = router_folder(opened.serving.router, own, (None, None, None, None))
    serving = opened.serving.model_copy(update={"router": str(place.resolve())})
    pack(opened.head, serving, Path(folder).expanduser(), opened.outcome_head, opened.familiar)


class _Opened(NamedTuple):
    """What a packed folder holds."""

    head: LoadedHead
    serving: Serving
    outcome_head: OutcomeHead | None
    familiar: Familiarity | None


def _open(folder: Path) -> _Opened:
    outcome_head = load_outcome_head(folder) if holds_outcome_head(folder) else None
    return _Opened(load(folder), serving_in(folder), outcome_head, Familiarity.load(folder))


def _guaranteed(
    serving: Serving, head: LoadedHead, outcome_head: OutcomeHead | None, router_sha256: str, basis: Basis | None
) -> Serving:
    """The same with the guarantee for its threshold, if there is one."""
    bound = bound_to(serving, head, outcome_head, router_sha256)
    return serving.model_copy(update={"guarantee": None if basis is None else guarantee_of(basis, bound)})
