"""Heads packed with the rule that they serve by: the folder that `CalibratedRouter.from_pretrained` opens."""

from pathlib import Path

from routecal.calib.head import load
from routecal.calib.outcome.outcome_folder import holds_outcome_head, load_outcome_head
from routecal.calib.packed_folder import Serving, pack, router_folder, serving_in
from routecal.calib.serving_rule import ServingRule
from routecal.calib.settings import Reading
from routecal.storage.artifact import Artifact
from routecal.storage.atomic import local_path
from routecal.storage.folder_artifact import local_folder, write_folder
from routecal.storage.layout import Home
from routecal.tasks.cache import step


@step("pack", "pack the router, which decides by {rule.decides_by}", on=("calib.packed_folder",))
def pack_router(
    head: Artifact, router: Artifact, reading: Reading, rule: ServingRule, outcome_head: Artifact | None = None
) -> Artifact:
    """The head's folder, with its router's place, the rule and the outcome head, if there is one.

    Raises:
        NoOutcomeHead: the rule is to decide by the gain, and no outcome head is given.
    """
    loaded, home = load(local_folder(head)), Home.from_env()
    outcomes = None if outcome_head is None else load_outcome_head(local_folder(outcome_head))[0]
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

    def build(folder: Path) -> None:
        pack(loaded, serving, folder, outcomes)

    return write_folder("calibrated", build, home=home)


@step("pack again", "pack {calibrated.uri} with another rule", on=("calib.packed_folder",))
def with_rule(calibrated: Artifact, rule: ServingRule) -> Artifact:
    """A packed folder with another rule; its heads and its router are the same.

    Raises:
        NoOutcomeHead: the rule is to decide by the gain, and the folder holds no outcome head.
    """
    return write_folder(calibrated.kind, lambda folder: _pack_again(calibrated, folder, rule), home=Home.from_env())


def rule_in(calibrated: Artifact) -> ServingRule:
    """What a packed folder decides by."""
    return serving_in(local_folder(calibrated))


def copy_packed(calibrated: Artifact, folder: str) -> None:
    """Write a packed folder where a person wants it; it then names its router by a whole path."""
    own = local_folder(calibrated)
    place = router_folder(serving_in(own).router, own, (None, None, None, None))
    _pack_again(calibrated, Path(folder).expanduser(), router=str(place.resolve()))


def _pack_again(calibrated: Artifact, folder: Path, rule: ServingRule | None = None, **changes: str) -> None:
    own = local_folder(calibrated)
    outcome_head = load_outcome_head(own)[0] if holds_outcome_head(own) else None
    serving = serving_in(own).model_copy(update={**({} if rule is None else dict(rule)), **changes})
    pack(load(own), serving, folder, outcome_head)
