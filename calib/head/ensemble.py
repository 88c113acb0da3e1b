"""Several heads that differ in their seeds, or in the fold of rows they left out, averaged in probability.

Also how a head folder is opened for use, whether it holds one head or several.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from routecal.calib.checkpoint_errors import FeatureMismatch
from routecal.calib.checks import FloatArray
from routecal.calib.errors import OutOfRange, TooFewExamples
from routecal.calib.head.config import HeadConfig
from routecal.calib.head.head_folder import StoredHead, read_head
from routecal.calib.head.model import ConfidenceHead
from routecal.calib.recalibrate import Identity, Recalibrator
from routecal.calib.router.pooling import DEFAULT


class Ensemble(StoredHead):
    """The mean of its members' probabilities.

        p = recalibrator(mean_m p_m)

    Lakshminarayanan et al. 2017, arXiv:1612.01474, section 2.4 (a uniformly weighted mixture). By Jensen its Brier
    score is at most its members' mean. Averaging pulls towards .5, so an ensemble of calibrated heads is underconfident
    where they disagree: recalibrate the ensemble, not the members.

    Args:
        heads: one or more heads of one configuration, those that left out the same fold beside each other.
        folds: of the labelled rows, as `cross_fit` dealt them: head i left out fold i // (members / folds). 0:
            all heads learned from the same rows.

    Raises:
        TooFewExamples: no head at all.
        FeatureMismatch: configurations differ.
        OutOfRange: the folds do not have as many heads each.

    >>> heads = [ConfidenceHead(HeadConfig(width=2, hidden_units=4), seed=s) for s in (0, 1)]
    >>> x = np.zeros((1, 2), np.float32), np.zeros((1, 3), np.float32)
    >>> round(Ensemble(heads).confidence(*x).item(), 4), Ensemble(heads).spread(*x).item()  # both start as the router
    (0.3333, 0.0)
    """

    def __init__(self, heads: Sequence[ConfidenceHead], *, folds: int = 0) -> None:
        if not heads:
            raise TooFewExamples(0, 1)
        if folds and len(heads) % folds:
            raise OutOfRange("number of heads", len(heads), f"a multiple of the {folds} folds")
        for head in heads[1:]:
            if head.config != heads[0].config:
                raise FeatureMismatch("configuration", heads[0].config, head.config)
        self.heads = tuple(heads)
        self.folds = folds
        self.config = heads[0].config
        self.recalibrator: Recalibrator = Identity()
        self.lineage: dict[str, Any] = {}
        self.metrics: dict[str, float] = {}

    @property
    def members(self) -> int:
        """Heads in it."""
        return len(self.heads)

    def member_confidences(self, hidden: NDArray[np.floating], logits: NDArray[np.floating]) -> FloatArray:
        """(members, n) probabilities, before the recalibrator; raises as `ConfidenceHead.confidence` does."""
        return np.stack([head.confidence(hidden, logits) for head in self.heads])

    def confidence(self, hidden: NDArray[np.floating], logits: NDArray[np.floating]) -> FloatArray:
        """P(the router's policy is right), float64 (n,): the mean of the members', then `recalibrator`.

        Args:
            hidden: (n, width).
            logits: (n, c).

        Raises:
            FeatureMismatch, NonFinite: as `ConfidenceHead.confidence`.
        """
        p = self.raw_confidence(hidden, logits)
        return self.recalibrator(p) if len(p) else p

    def raw_confidence(self, hidden: NDArray[np.floating], logits: NDArray[np.floating]) -> FloatArray:
        """`confidence` before the recalibrator."""
        return np.asarray(self.member_confidences(hidden, logits).mean(axis=0))

    def out_of_fold(
        self, hidden: NDArray[np.floating], logits: NDArray[np.floating], fold: NDArray[np.int64]
    ) -> FloatArray:
        """(n,) raw confidence of every row by the heads that left out its fold, by all of them where it is -1.

        Args:
            hidden: (n, width).
            logits: (n, c).
            fold: (n,) -1 … folds - 1.

        Raises:
            FeatureMismatch, NonFinite: as `confidence`.
        """
        members = self.member_confidences(hidden, logits)
        by_fold = members.reshape(max(self.folds, 1), -1, len(fold)).mean(axis=1)
        own = np.take_along_axis(by_fold, np.maximum(fold, 0)[None], axis=0)[0]
        return np.asarray(np.where(fold < 0, members.mean(axis=0), own))

    def spread(self, hidden: NDArray[np.floating], logits: NDArray[np.floating]) -> FloatArray:
        """(n,) standard deviation of the members' probabilities, in [0, .5]: an epistemic signal.

        High where the training rows left the answer open, so that the seed decided; 0 with one member. It sees only
        the seeds' share of what is unknown: members share their rows, early stopping and the router's logit, so a small
        spread is no promise, least of all far from the training rows, where clipped inputs make all members agree.
        """
        return np.asarray(self.member_confidences(hidden, logits).std(axis=0))

    def check_width(self, hidden: NDArray[Any], logits: NDArray[Any] | None = None) -> None:
        """Refuse, with FeatureMismatch, hidden states or logits of another width than the heads'."""
        self.heads[0].check_width(hidden, logits)

    def tensors(self) -> dict[str, Tensor]:
        """Weights and inputs by member and name: "0.first.weight". A single member's are named as in its own folder."""
        if self.members == 1:
            return self.heads[0].tensors()
        return {f"{m}.{name}": t for m, head in enumerate(self.heads) for name, t in head.tensors().items()}

    @classmethod
    def from_tensors(cls, config: HeadConfig, members: int, tensors: Mapping[str, Tensor], *, folds: int = 0) -> Self:
        """The ensemble with these members; of one where it is a single head's.

        Raises:
            RuntimeError, KeyError, OutOfRange: the tensors are not those of such an ensemble.
        """
        if members == 1:
            return cls([ConfidenceHead.from_tensors(config, 1, tensors)], folds=folds)
        owned: list[dict[str, Tensor]] = [{} for _ in range(members)]
        for key, tensor in tensors.items():
            member, _, name = key.partition(".")
            if not member.isdecimal() or int(member) >= members:
                raise KeyError(f"tensor {key} belongs to none of {members} members")
            owned[int(member)][name] = tensor
        return cls([ConfidenceHead.from_tensors(config, 1, own) for own in owned], folds=folds)


@dataclass(frozen=True)
class LoadedHead:
    """A head read from its folder.

    Attributes:
        head: weights and inputs as saved; of one member where one was saved.
        recalibrator: to be applied to `head.confidence(...)`.
        config: all of config.json: "head", "members", "recalibrator", "metrics", "lineage".
    """

    head: Ensemble
    recalibrator: Recalibrator
    config: dict[str, Any]

    @property
    def blocks(self) -> tuple[str, ...]:
        """Blocks that its hidden state is made of, side by side in this order."""
        return tuple(self.config.get("lineage", {}).get("blocks", [DEFAULT]))

    def confidence(self, hidden: NDArray[np.floating], logits: NDArray[np.floating]) -> FloatArray:
        """Recalibrated P(the router's policy is right), float64 (n,); raises FeatureMismatch as the head does."""
        return self.recalibrator(self.head.confidence(hidden, logits))


def load(folder: Path) -> LoadedHead:
    """The head or ensemble that `save_pretrained` wrote.

    Raises:
        CheckpointMissing: the folder lacks head.safetensors or config.json.
        HeadUnusable: they are damaged, or are not a head's.
    """
    stored = read_head(folder)
    return LoadedHead(stored.build(Ensemble), stored.recalibrator, stored.config)
