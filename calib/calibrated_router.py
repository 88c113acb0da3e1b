"""A router that says how sure it is: frozen router, heads and threshold from one folder; queries in, decisions out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from routecal.calib.checkpoint_errors import NoOutcomeHead
from routecal.calib.decision import Decision
from routecal.calib.errors import NonFinite
from routecal.calib.extra_cost import Prices
from routecal.calib.head import LoadedHead, load
from routecal.calib.head.familiarity import Familiarity
from routecal.calib.head.hub import fetch
from routecal.calib.outcome.head import OutcomeHead
from routecal.calib.outcome.outcome_folder import holds_outcome_head, load_outcome_head
from routecal.calib.packed_folder import FILES, Serving, bound_to, router_folder, serving_of, version_of
from routecal.calib.policy import POLICIES
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.calib.router.prompt_tokens import texts_of
from routecal.calib.router.router_output import RouterOutput
from routecal.calib.router_match import check_router
from routecal.folder_digest import folder_digest


class CalibratedRouter:
    """A frozen router with its heads and a threshold.

    Args:
        router: reads the queries.
        head: of this very router.
        serving: rule, threshold, blocks and the head's version.
        outcome_head: of this very router; without one the gain is not told.
        familiar: what the queries of the calibration look like to this very router; None: unknown.

    Raises:
        FeatureMismatch: a head was trained on another router, or one that reads otherwise; names both sides.
        NoOutcomeHead: the gain is to decide, and there is no outcome head.
    """

    def __init__(
        self,
        router: FrozenRouter,
        head: LoadedHead,
        serving: Serving,
        outcome_head: OutcomeHead | None = None,
        familiar: Familiarity | None = None,
    ) -> None:
        if serving.decides_by == "gain" and outcome_head is None:
            raise NoOutcomeHead("this head's folder")
        self.router, self.head, self.serving, self.outcome_head = router, head, serving, outcome_head
        self.familiar = familiar
        # What a monitor, or a person, says against the guarantee; empty: nothing.
        self.alarm = ""
        blocks = (*serving.blocks, *(() if outcome_head is None else outcome_head.blocks))
        router_sha256 = check_router(head.config.get("lineage", {}).get("feature_schema", {}), router, blocks)
        self._void = self._why_void(router_sha256)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        router: str | Path | None = None,
        threshold: float | None = None,
        prices: Prices | tuple[float, float] | None = None,
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
            prices: of one answer of the medium and of the large model, where they changed since the folder was made.
            device: torch device of the router; None takes CUDA where there is one.
            revision: branch, tag or commit of the repository.
            cache_dir: where downloads are kept.
            token: for private repositories.
            endpoint: URL of another Hub than huggingface.co.

        Raises:
            CheckpointMissing: no such folder or repository, a file is missing in it, or the router is not in its place.
            HeadUnusable: the head is damaged.
            NotServable: the folder holds a head but does not say which router it belongs to.
            NoOutcomeHead: the folder decides by the gain, and its outcome head is gone.
            FeatureMismatch: the router that was found is not the head's; names both sides.
            OutOfRange: a price is negative, or the large model is not the dearer one.
        """
        hub = (revision, cache_dir, token, endpoint)
        folder = Path(name).expanduser()
        if not folder.is_dir():
            folder = fetch(str(name), FILES, *hub)
        head = load(folder)
        if isinstance(prices, tuple):
            prices = Prices.of(*prices)
        serving = serving_of(head, str(name), router, threshold, prices)
        outcome_head = load_outcome_head(folder) if holds_outcome_head(folder) else None
        if serving.decides_by == "gain" and outcome_head is None:
            raise NoOutcomeHead(str(name))
        place = router_folder(serving.router, folder, hub)
        if not serving.head_version:
            serving = serving.model_copy(update={"head_version": version_of(folder)})
        read = serving.model_dump(include={"template", "dtype", "max_tokens", "layers", "poolings", "outcome_layers"})
        return cls(FrozenRouter(place, device=device, **read), head, serving, outcome_head, Familiarity.load(folder))

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
        blocks = self._blocks(output)
        states = np.concatenate([blocks[name] for name in self.serving.blocks], axis=1)
        p = self.head.confidence(states, output.logits)
        unlike = [None] * len(texts) if self.familiar is None else self.familiar.relative(states).tolist()
        told, void = self._outcomes(blocks, output), self.no_guarantee
        gain = None if self.outcome_head is None else np.array([outcome["gain"] for outcome in told])
        escalated = self.serving.escalates(p, gain, output.n_tokens).tolist()
        return [
            Decision(
                policy=POLICIES[policy],
                confidence=confidence,
                escalate=escalate,
                head_version=self.serving.head_version,
                threshold=self.serving.threshold,
                truncated=truncated,
                decides_by=self.serving.decides_by,
                guarantee=self.serving.guarantee if not void else None,
                no_guarantee=void,
                models=tuple(self.serving.policy_map.models.values()),
                unlikeness=unlikeness,
                **outcome,
            )
            for policy, confidence, escalate, truncated, outcome, unlikeness in zip(
                output.policy.tolist(), p.tolist(), escalated, output.truncated.tolist(), told, unlike, strict=True
            )
        ]

    @property
    def no_guarantee(self) -> str:
        """Why nothing is promised of the decisions, in a sentence; empty where the folder's guarantee holds."""
        return self._void or (f"no guarantee: {self.alarm}" if self.alarm else "")

    def _why_void(self, router_sha256: str | None) -> str:
        """What of the guarantee's ground is another one than when it was given; empty if nothing."""
        guarantee = self.serving.guarantee
        if guarantee is None:
            return "no guarantee: the folder was packed without one"
        bound = bound_to(self.serving, self.head, self.outcome_head, router_sha256 or folder_digest(self.router.path))
        if (why := guarantee.void_because(guarantee.bound.model_copy(update=bound))) is not None:
            return why
        if not self.serving.is_promised_threshold:
            return "no guarantee: the threshold is not the promised one; choose another with `routecal threshold`"
        return ""

    def _outcomes(self, blocks: Mapping[str, NDArray[np.float32]], output: RouterOutput) -> list[dict[str, float]]:
        """What is said of both models' answers to every query; nothing without an outcome head."""
        if self.outcome_head is None:
            return [{}] * len(output.policy)
        cells, p = self.outcome_head.cells, self.outcome_head.probabilities(blocks, output.logits)
        columns = {"gain": cells.gain(p), "medium_right": cells.medium_right(p), "large_right": cells.large_right(p)}
        return [dict(zip(columns, row, strict=True)) for row in np.column_stack(list(columns.values())).tolist()]

    def _blocks(self, output: RouterOutput) -> dict[str, NDArray[np.float32]]:
        """The blocks that the heads read, rounded to float16 as the features that they were trained on were."""
        names = {*self.serving.blocks, *(() if self.outcome_head is None else self.outcome_head.blocks)}
        rounded = {}
        for name in names:
            with np.errstate(over="ignore"):
                half = output.blocks[name].astype(np.float16)
            if too_large := tuple(np.flatnonzero(~np.isfinite(half).all(axis=1)).tolist()):
                raise NonFinite("the router's hidden state, as float16,", too_large, len(half))
            rounded[name] = half.astype(np.float32)
        return rounded
