"""Which hidden state a head should read: the simplest block that a quick probe cannot tell from the best."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from routecal.calib.baselines.logistic import EMPHASIS, strength_path
from routecal.calib.baselines.predictors import deal, learnable
from routecal.calib.baselines.router_columns import router_columns
from routecal.calib.checks import FloatArray
from routecal.calib.components import Standard
from routecal.calib.errors import ChosenOnTest, LengthMismatch, UnknownName
from routecal.calib.examples import Examples
from routecal.calib.metrics.proper import log_loss_rows
from routecal.calib.recalibrate.choose import STANDARD_ERRORS, mean_and_error

# Inverse strengths of the probe's L2 penalty: a decade apart is enough to rank blocks.
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)

# More rows would not change the choice, only take longer.
MOST_ROWS = 4000

# Nats below which two log losses are one: the solver stops that far from the optimum, and on which side depends on the
# processor. (The same block with its columns reversed differed by 7e-9, more than a standard error of the difference.)
SAME_LOSS = 1e-6


@dataclass(frozen=True)
class BlockCandidate:
    """One row of the table that `choose_blocks` decided by, losses in nats.

    Attributes:
        names: the blocks, side by side.
        width: of all of them together.
        strength: of `STRENGTHS`, the one with the least log loss.
        log_loss: mean over held-out rows.
        standard_error: of that mean.
        excess: mean log loss above the best candidate's, on the same rows; 0 for the best.
        excess_error: standard error of the excess.
    """

    names: tuple[str, ...]
    width: int
    strength: float
    log_loss: float
    standard_error: float
    excess: float
    excess_error: float


@dataclass(frozen=True)
class BlockChoice:
    """The blocks to use, and why, in the order of the candidates; no table where there was nothing to choose by."""

    names: tuple[str, ...]
    table: tuple[BlockCandidate, ...]


def candidates_of(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Every block alone, the first beside each other one, and all together.

    >>> candidates_of(["a", "b", "c"])
    (('a',), ('b',), ('c',), ('a', 'b'), ('a', 'c'), ('a', 'b', 'c'))
    """
    first, *others = names
    found = [*((name,) for name in names), *((first, other) for other in others), tuple(names)]
    return tuple(dict.fromkeys(found))


def concatenated(blocks: Mapping[str, NDArray[np.floating]], names: Iterable[str]) -> NDArray[np.float32]:
    """(n, sum of widths) float32: the named blocks side by side, in this order.

    Raises:
        UnknownName: there is no such block.

    >>> concatenated({"a": np.array([[1.0], [2.0]]), "b": np.array([[3.0], [4.0]])}, ["b", "a"]).tolist()
    [[3.0, 1.0], [4.0, 2.0]]
    """
    wanted = tuple(names)
    for name in wanted:
        if name not in blocks:
            raise UnknownName("block", name, blocks)
    return np.concatenate([np.asarray(blocks[name], np.float32) for name in wanted], axis=1)


def choose_blocks(
    blocks: Mapping[str, NDArray[np.floating]],
    labelled: Examples,
    *,
    candidates: Sequence[Sequence[str]] | None = None,
    seed: int = 0,
) -> BlockChoice:
    """The narrowest candidate whose cross-validated log loss is within one standard error of the best.

    Of equally narrow ones the first candidate, the default block, if it is among them; else the one of least log loss.

    The probe is an L2-regularised logistic regression on the standardised block beside the router's outputs, as a head
    reads both; 5 folds, the strength of least log loss. One-standard-error rule with the paired difference, as in
    `calib.recalibrate.choose`.

    Lies a little in favour of every candidate alike: the strength is chosen on the same held-out rows. Says what a
    *linear* probe can read; a head may find more in a block that this one ranks second.

    Args:
        blocks: (n, d) vectors by name, in the rows of `labelled`.
        labelled: rows of the splits that may be learned from; its own `hidden` is not looked at. Of more than
            `MOST_ROWS`, that many are drawn.
        candidates: names of blocks to be put side by side, the preferred one first; default `candidates_of(blocks)`.
        seed: of the rows drawn and the folds.

    Returns:
        The first candidate with an empty table when no fold could hold rows of both classes.

    Raises:
        ChosenOnTest: a row belongs to the test split.
        LengthMismatch: a block has other rows.
        UnknownName: a candidate names no block.
    """
    if n_test := int((labelled.split == "test").sum()):
        raise ChosenOnTest("a block is chosen", n_test)
    for name, vectors in blocks.items():
        if len(vectors) != len(labelled):
            raise LengthMismatch("labelled", len(labelled), f"block {name}", len(vectors))
    wanted = tuple(tuple(names) for names in candidates) if candidates is not None else candidates_of(tuple(blocks))
    # A concatenation that cannot be made is refused before anything is fitted.
    for names in wanted:
        concatenated(dict.fromkeys(blocks, np.empty((0, 1))), names)
    drawn = np.random.default_rng(seed).permutation(len(labelled)) < MOST_ROWS
    labelled = labelled.where(drawn)
    if not learnable(labelled):
        return BlockChoice(wanted[0], ())
    y = labelled.y.astype(np.float64)
    router, fold = _standard(router_columns(labelled)), deal(y, seed=seed)
    losses: list[tuple[float, FloatArray]] = []
    # One thread: matrices this small lose more to the second one than they gain, and its sums are in another order.
    with threadpool_limits(1):
        for names in wanted:
            x = np.hstack([_standard(concatenated(blocks, names)[drawn]), EMPHASIS * router])
            strength, p = strength_path(_rotated(x), y, fold, STRENGTHS, patience=len(STRENGTHS))
            losses.append((strength, log_loss_rows(p, y)))
    best = min((loss for _, loss in losses), key=lambda loss: loss.mean())
    table = tuple(
        BlockCandidate(names, _width(blocks, names), strength, *mean_and_error(loss), *mean_and_error(loss - best))
        for names, (strength, loss) in zip(wanted, losses, strict=True)
    )
    near = [c for c in table if c.excess <= max(STANDARD_ERRORS * c.excess_error, SAME_LOSS)]
    narrowest = [c for c in near if c.width == min(c.width for c in near)]
    chosen = table[0] if table[0] in narrowest else min(narrowest, key=lambda c: c.log_loss)
    return BlockChoice(chosen.names, table)


def _rotated(x: FloatArray) -> FloatArray:
    """x (n, d) in coordinates of its own rows where d > n: the same products, so the same ridge, in n columns."""
    if x.shape[1] <= len(x):
        return x
    values, vectors = np.linalg.eigh(x @ x.T)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _standard(x: NDArray[np.floating]) -> FloatArray:
    return Standard.of(x)(x)


def _width(blocks: Mapping[str, NDArray[np.floating]], names: Iterable[str]) -> int:
    return sum(blocks[name].shape[1] for name in names)
