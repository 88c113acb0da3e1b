"""The benchmark's protocol: which rows make the router, which are labelled, which test; numbers decide, never labels.

The numbers come from hashes of the query's text (`query_identity.share_of`), so that every file that holds a question
puts it into the same part and near-identical questions stay together. Here they are only compared.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from routecal.calib.checks import FloatArray, checked_p
from routecal.calib.errors import LengthMismatch

PARTS = {"router": 0.40, "labelled": 0.30, "test": 0.30}
# Written out: a running sum of the fractions would end at 0.7000000000000001.
_BOUNDS = (("router", 0.40), ("labelled", 0.70), ("test", 1.0))

# The labelled rows that are drawn are dealt as a user's own: 40 : 15 : 15, as train : calibration : validation there.
_DEALT = (("train", 40 / 70), ("calibration", 55 / 70), ("validation", 1.0))


class Draw(NamedTuple):
    """One seed's labelled rows: their indices, and the split each was dealt to."""

    rows: NDArray[np.int64]
    split: NDArray[np.str_]


def part_of(share: ArrayLike) -> NDArray[np.str_]:
    """The part of every row: 40% make the router, 30% may be labelled, 30% test.

    Args:
        share: (n,) in [0, 1), a hash of the row's text; rows that must stay together share it.

    Returns:
        (n,) "router", "labelled" or "test".

    Raises:
        InvalidProbability, TooFewExamples: an entry is outside [0, 1], or there is none.

    >>> part_of([0.0, 0.4, 0.699, 0.7]).tolist()
    ['router', 'labelled', 'labelled', 'test']
    """
    return _named(checked_p(share, name="share"), _BOUNDS)


def draw_labelled(part: NDArray[np.str_], order: ArrayLike, deal: ArrayLike, *, labels: int) -> Draw:
    """The labelled rows of one seed, at most `labels` of them, dealt to train, calibration and validation.

    The rows of smallest `order` are drawn, so that 300 labels are among the 1,000 of the same seed: a comparison of the
    two is one of more labels, not of other labels.

    Args:
        part: (n,) from `part_of`.
        order: (n,) in [0, 1), a hash of text and seed.
        deal: (n,) in [0, 1), another hash of text and seed; rows that share it land in the same split.
        labels: how many rows have been labelled, at most.

    Returns:
        Row indices, ascending, and their splits.

    Raises:
        LengthMismatch: the arrays differ in length.
        InvalidProbability, TooFewExamples: as `part_of`.

    >>> part = np.array(["labelled", "test", "labelled", "labelled"])
    >>> draw_labelled(part, [0.9, 0.0, 0.1, 0.2], [0.0, 0.0, 0.5, 0.99], labels=2)
    Draw(rows=array([2, 3]), split=array(['train', 'validation'], dtype='<U11'))
    """
    order, deal = checked_p(order, name="order"), checked_p(deal, name="deal")
    for name, array in (("order", order), ("deal", deal)):
        if len(array) != len(part):
            raise LengthMismatch("part", len(part), name, len(array))
    able = np.flatnonzero(part == "labelled")
    rows = np.sort(able[np.argsort(order[able], kind="stable")[:labels]])
    return Draw(rows, _named(deal[rows], _DEALT))


def _named(share: FloatArray, bounds: tuple[tuple[str, float], ...]) -> NDArray[np.str_]:
    """The name of the first bound above each share."""
    names = np.array([name for name, _ in bounds])
    edges = np.array([bound for _, bound in bounds[:-1]])
    return np.asarray(names[np.searchsorted(edges, share, side="right")])
