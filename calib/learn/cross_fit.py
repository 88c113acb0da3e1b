"""Cross-fitting: the labelled rows dealt to folds, and heads that leave out one fold each to be judged by.

A single head gives four tenths of its labels to early stopping, RL and recalibration, and that costs it more than the
three bring (LOG.md, 2026-11-22). Here every fold takes a turn: it validates, the next one calibrates by RL, the others
warm-start, and the heads of all turns are averaged in probability. So every row teaches most of the heads, and what a
row is told by those it validated is honest enough to choose a recalibrator and a threshold by (Chernozhukov et al.
2018, arXiv:1608.00060, on using all rows for both).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from routecal.calib.checks import FloatArray
from routecal.calib.errors import OutOfRange
from routecal.calib.examples import WARN_BELOW, Examples
from routecal.calib.head import ConfidenceHead, Ensemble, HeadConfig, HeadShape
from routecal.calib.learn.training_loop import StepLog, threads_for
from routecal.calib.settings import EnsembleSettings

if TYPE_CHECKING:
    from routecal.calib.learn.rl_config import RLConfig
    from routecal.calib.learn.sft import SFTConfig

FOLDS = 5
# Labelled rows from which on the splits are taken as they are: a head that has 12,000 to learn from gains little from
# 8,000 more, and five heads take five times as long. Below WARN_BELOW a fold may come out empty.
MANY = 20_000

# What trains one head in place, as `sft.steps` and `rl.steps` do.
Loop = Callable[[ConfidenceHead, Examples, Examples, Any], Iterator[StepLog]]


def n_folds(asked: int | None, n: int) -> int:
    """Folds for n labelled rows: as asked, by default 5 from 100 rows to 20,000; 0 leaves the splits as they are.

    Raises:
        OutOfRange: 1 or 2 folds, which leave none to train on, or more than 20.

    >>> n_folds(None, 99), n_folds(None, 100), n_folds(None, 20_001), n_folds(10, 99)
    (0, 5, 0, 10)
    """
    if asked is None:
        return FOLDS if WARN_BELOW <= n <= MANY else 0
    if asked and not 3 <= asked <= 20:
        raise OutOfRange("folds", asked, "0, or 3 to 20")
    return asked


def fold_of(share: FloatArray, folds: int) -> NDArray[np.int64]:
    """(n,) fold of every row, 0 … folds - 1, by a number in [0, 1) that follows from its text.

    >>> fold_of(np.array([0.0, 0.39, 0.4, 0.999]), 5).tolist()
    [0, 1, 2, 4]
    """
    return np.minimum((share * folds).astype(np.int64), folds - 1)


@dataclass(frozen=True)
class Deal:
    """Labelled rows, and the fold each was dealt to.

    Attributes:
        rows: of the splits train, calibration and validation.
        folds: how many; 0: none, the splits stay as they are.
        fold: (n,) 0 … folds - 1; all 0 without folds.
    """

    rows: Examples
    folds: int
    fold: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Examples, *, folds: int | None = None, seed: int = 0) -> Self:
        """Deal by `rows.share` where there is one, so that near-identical queries stay together; else one by one.

        Args:
            rows: no test rows.
            folds: see `n_folds`.
            seed: of dealing one by one.

        Raises:
            OutOfRange: see `n_folds`.
        """
        k, n = n_folds(folds, len(rows)), len(rows)
        if not k:
            return cls(rows, 0, np.zeros(n, np.int64))
        share = np.random.default_rng(seed).permutation(n) / max(n, 1) if rows.share is None else rows.share
        return cls(rows, k, fold_of(share, k))

    def turns(self) -> list[Examples]:
        """The rows as every turn splits them: its own fold validates, the next calibrates, the others train."""
        if not self.folds:
            return [self.rows]
        turn = [(self.fold - fold) % self.folds for fold in range(self.folds)]
        splits = [np.select([t == 0, t == 1], ["validation", "calibration"], "train") for t in turn]
        return [replace(self.rows, split=split) for split in splits]

    def held_out(self, ensemble: Ensemble) -> tuple[FloatArray, NDArray[np.float32]]:
        """(p, y) of the rows that a recalibrator is fitted on, p before recalibration.

        With folds, of every row, by the heads it validated; else of the calibration and validation rows, by all.
        """
        if not self.folds:
            rows = self.rows.only("calibration", "validation")
            return ensemble.raw_confidence(rows.hidden, rows.logits), rows.y
        return ensemble.out_of_fold(self.rows.hidden, self.rows.logits, self.fold), self.rows.y


class CrossFitPlan(EnsembleSettings, HeadShape):
    """Which heads, and how many."""


def untrained(plan: CrossFitPlan, deal: Deal, *, seed: int = 0) -> Ensemble:
    """`plan.members` heads for every turn of the deal, of seeds that no ensemble of a neighbouring seed has.

    Raises:
        OutOfRange: more principal components than the hidden states are wide.
    """
    width = deal.rows.hidden.shape[1]
    if plan.pca is not None and plan.pca > width:
        raise OutOfRange("pca", plan.pca, f"at most {width}, which is how wide the hidden states are")
    shape = plan.model_dump(include=set(HeadShape.model_fields))
    config = HeadConfig(width=width, n_logits=deal.rows.logits.shape[1], **shape)
    own = list(islice(seeds(seed), plan.members))
    return Ensemble([ConfidenceHead(config, seed=s) for _ in deal.turns() for s in own], folds=deal.folds)


def steps(
    loop: Loop, ensemble: Ensemble, deal: Deal, cfg: "SFTConfig | RLConfig", *, rows: Sequence[str]
) -> Iterator[StepLog]:
    """Run a training loop on every head of the ensemble, in place, each on its turn; yield every step's record.

    Args:
        loop: `sft.steps` or `rl.steps`.
        ensemble: as `untrained` made it for this deal, or trained since.
        deal: the rows.
        cfg: of the loop; its seed is that of the first member, the others' follow from it.
        rows: splits to learn from; the validation split of the turn stops early.

    Raises:
        TooFewExamples, FeatureMismatch, Collapsed: see `calib.learn.training_loop`.
    """
    turns = deal.turns()
    members = ensemble.members // len(turns)
    own = list(islice(seeds(cfg.seed), members))
    for i, head in enumerate(ensemble.heads):
        turn = turns[i // members]
        config = cfg.model_copy(update={"seed": own[i % members]})
        with threads_for(head):
            for step in loop(head, turn.only(*rows), turn.only("validation"), config):
                yield step.model_copy(update={"head": i})


def unseen(ensemble: Ensemble, examples: Examples) -> FloatArray:
    """(n,) confidence of every row by heads that it did not teach, before recalibration.

    Test rows taught none of them and are told by all. A labelled row is told by the heads that it validated, whichever
    run trained them: its fold follows from its text. Without folds that cannot be had, and rows of the train split are
    told by the head that they taught.

    Args:
        ensemble: with `folds`, trained on rows dealt by their share.
        examples: with `share`.
    """
    if not ensemble.folds or examples.share is None:
        return ensemble.raw_confidence(examples.hidden, examples.logits)
    fold = np.where(examples.split == "test", -1, fold_of(examples.share, ensemble.folds))
    return ensemble.out_of_fold(examples.hidden, examples.logits, fold)


def seeds(seed: int) -> Iterator[int]:
    """Seeds of the members: `seed` itself, then others far from those of the ensembles of seed + 1, seed + 2 ...

    >>> [next(s) for s in [seeds(7)] * 3]
    [7, 1000010, 2000013]
    """
    while True:
        yield seed
        seed += 1_000_003
