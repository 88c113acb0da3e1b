"""A router that says how sure it is: frozen router, head and threshold from one folder; queries in, decisions out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from routecal.calib.checkpoint_errors import FeatureMismatch
from routecal.calib.errors import NonFinite
from routecal.calib.head import LoadedHead, load
from routecal.calib.head.head_folder import CONFIG, WEIGHTS
from routecal.calib.head.hub import fetch
from routecal.calib.packed_folder import ROUTER, Serving, router_folder, serving_of, version_of
from routecal.calib.policy import POLICIES, Policy
from routecal.calib.router.frozen_router import FrozenRouter, RouterOutput
from routecal.calib.router.prompt_tokens import texts_of
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


@dataclass(frozen=True)
class Decision:
    """What to do with one query.

    Attributes:
        policy: the router's own decision, never changed.
        confidence: P(the policy is right), in [0, 1].
        escalate: confidence is below the threshold.
        head_version: of the head that said so.
        threshold: that it was compared with.
        truncated: the query was longer than what is read of one; its middle part was not read.
    """

    policy: Policy
    confidence: float
    escalate: bool
    head_version: str
    threshold: float
    truncated: bool = False

    @property
    def served_by(self) -> str:
        """ "large" where the policy says so or doubt escalates, else "medium"; as `calib.escalation` counts it.

        >>> Decision(Policy.AMBIGUOUS, 0.4, True, "", 0.5).served_by
        'large'
        """
        return "large" if self.escalate or self.policy is Policy.COMPLEX else "medium"


class CalibratedRouter:
    """A frozen router with its confidence head and an escalation threshold.

    Args:
        router: reads the queries.
        head: of this very router.
        serving: threshold, blocks and the head's version.

    Raises:
        FeatureMismatch: the head was trained on another router, or one that reads otherwise; names both sides.
    """

    def __init__(self, router: FrozenRouter, head: LoadedHead, serving: Serving) -> None:
        self.router, self.head, self.serving = router, head, serving
        _check(head.config.get("lineage", {}).get("feature_schema", {}), router, serving)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        router: str | Path | None = None,
        threshold: float | None = None,
        device: str | None = None,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        token: str | None = None,
        endpoint: str | None = None,
    ) -> Self:
        """Open a folder as `packed_folder.pack` writes it, or a Hub repository with the same files.

        Args:
            name: a local folder, read without any network; otherwise "owner/name" on the Hub. For another file system
                (s3://…), copy the folder first.
            router: where the router is, if not where the folder says (another machine).
            threshold: another than the folder's.
            device: torch device of the router; None takes CUDA where there is one.
            revision: branch, tag or commit of the repository.
            cache_dir: where downloads are kept.
            token: for private repositories.
            endpoint: URL of another Hub than huggingface.co.

        Raises:
            CheckpointMissing: no such folder or repository, a file is missing in it, or the router is not in its place.
            HeadUnusable: the head is damaged.
            NotServable: the folder holds a head but does not say which router it belongs to.
            FeatureMismatch: the router that was found is not the head's; names both sides.
        """
        hub = (revision, cache_dir, token, endpoint)
        folder = Path(name).expanduser()
        if not folder.is_dir():
            folder = fetch(str(name), (WEIGHTS, CONFIG, f"{ROUTER}/*"), *hub)
        head = load(folder)
        serving = serving_of(head, str(name), router, threshold)
        place = router_folder(serving.router, folder, hub)
        if not serving.head_version:
            serving = serving.model_copy(update={"head_version": version_of(folder)})
        read = serving.model_dump(include={"template", "dtype", "max_tokens", "layers", "poolings"})
        return cls(FrozenRouter(place, device=device, **read), head, serving)

    def route(self, queries: str | Sequence[str]) -> list[Decision]:
        """A decision per query, in their order; one str is one query.

        Of a query at most `prompts.QUERY_TOKENS` tokens are read, unless the head's `max_tokens` says otherwise: its
        start and its end. The decision says so (`truncated`).

        Args:
            queries: a str, or an ordered collection of str (list, NumPy array, Series, generator).

        Raises:
            NotQueries: something else, or an element that is no str; names its index and type.
            QueryUnreadable: a query is blank, or holds nothing that the router can read.
            NonFinite: the router produced NaN or infinity, or a state too large for the float16 it is stored in.
        """
        texts = texts_of(queries)
        if not texts:
            return []
        output = self.router.read(texts)
        p = self.head.confidence(self._hidden(output), output.logits)
        return [
            Decision(
                policy=POLICIES[policy],
                confidence=float(confidence),
                escalate=bool(confidence < self.serving.threshold),
                head_version=self.serving.head_version,
                threshold=self.serving.threshold,
                truncated=truncated,
            )
            for policy, confidence, truncated in zip(output.policy.tolist(), p, output.truncated.tolist(), strict=True)
        ]

    def _hidden(self, output: RouterOutput) -> NDArray[np.float32]:
        """The head's blocks side by side, rounded to float16 as the features that it was trained on were."""
        whole = np.concatenate([output.blocks[name] for name in self.serving.blocks], axis=1)
        with np.errstate(over="ignore"):
            half = whole.astype(np.float16)
        if too_large := tuple(np.flatnonzero(~np.isfinite(half).all(axis=1)).tolist()):
            raise NonFinite("the router's hidden state, as float16,", too_large, len(half))
        return half.astype(np.float32)


def _check(trained_on: Mapping[str, str], router: FrozenRouter, serving: Serving) -> None:
    """Refuse a router whose features are not those that the head was trained on."""
    found = router.schema
    for field in _MUST_MATCH:
        if field in trained_on and trained_on[field] != found.get(field):
            raise FeatureMismatch(field, trained_on[field], found.get(field))
    if trained_on and trained_on.get(_SPECIAL) != found.get(_SPECIAL):
        raise FeatureMismatch(_SPECIAL, trained_on.get(_SPECIAL), found.get(_SPECIAL))
    if missing := [name for name in serving.blocks if name not in router.blocks]:
        raise FeatureMismatch("blocks", " ".join(serving.blocks), f"{' '.join(router.blocks)} (no {missing[0]})")
    if (wanted := trained_on.get("router_sha256")) is None:
        return
    # The Hub adds a file to every repository; a router that went through it is still the same router.
    digest = folder_digest(router.path)
    if wanted != digest and wanted != folder_digest(router.path, without={".gitattributes"}):
        raise FeatureMismatch("router_sha256", wanted, digest)
