"""Is a router the one that a head was trained on, and does it read as it did then?"""

from collections.abc import Mapping, Sequence

from routecal.calib.checkpoint_errors import FeatureMismatch
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.folder_digest import folder_digest

# Of two routers that read alike, these are equal; the window (max_tokens) and the most that is read of one query
# (query_tokens) matter only for queries longer than that.
_MUST_MATCH = (
    "router_kind",
    "width",
    "n_layers",
    "layer",
    "pooling",
    "dtype",
    "template_sha256",
    "max_tokens",
    "query_tokens",
)
# Said only where it is so; a head that says nothing was trained without.
_SPECIAL = "special_tokens"


def check_router(trained_on: Mapping[str, str], router: FrozenRouter, blocks: Sequence[str]) -> str | None:
    """Refuse a router whose features are not those that the head was trained on.

    Args:
        trained_on: the schema of its features, see `FrozenRouter.schema`; what it does not say is not compared.
        router: to be read.
        blocks: that the heads read.

    Returns:
        The sha256 of the router's folder by which the head knows it; None where it does not say.

    Raises:
        FeatureMismatch: names both sides.
    """
    found = router.schema
    for field in _MUST_MATCH:
        if field in trained_on and trained_on[field] != found.get(field):
            raise FeatureMismatch(field, trained_on[field], found.get(field))
    if trained_on and trained_on.get(_SPECIAL) != found.get(_SPECIAL):
        raise FeatureMismatch(_SPECIAL, trained_on.get(_SPECIAL), found.get(_SPECIAL))
    if missing := [name for name in blocks if name not in router.blocks]:
        raise FeatureMismatch("blocks", " ".join(blocks), f"{' '.join(router.blocks)} (no {missing[0]})")
    if (wanted := trained_on.get("router_sha256")) is None:
        return None
    # The Hub adds a file to every repository; a router that went through it is still the same router.
    digest = folder_digest(router.path)
    if wanted != digest and wanted != folder_digest(router.path, without={".gitattributes"}):
        raise FeatureMismatch("router_sha256", wanted, digest)
    return wanted
