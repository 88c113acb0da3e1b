"""Rows of a file that repeat an earlier one, and those of them that say something else."""

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from routecal.plain_text import plain

log = logging.getLogger(__name__)


class RepeatedRows(NamedTuple):
    """What repeats in a file of n rows.

    Attributes:
        first: (n,) the first row with the id that a row has.
        differs: by column, (n,) whether the value of a row is another than that of the first row with its id.
    """

    first: NDArray[np.int64]
    differs: dict[str, NDArray[np.bool_]]

    @property
    def is_first(self) -> NDArray[np.bool_]:
        """(n,) whether a row is the first of its id."""
        return np.equal(self.first, np.arange(len(self.first)))

    @property
    def disagreeing(self) -> NDArray[np.int64]:
        """Later rows that say something else in any column, in order."""
        return np.flatnonzero(np.any([*self.differs.values()], axis=0))


def duplicate_rows(ids: Sequence[Hashable], columns: Mapping[str, Sequence[object]]) -> RepeatedRows:
    """The first row of every id, and where later ones disagree with it.

    Args:
        ids: (n,) one per row.
        columns: (n,) values by the name of the column, of those that should agree; at least one.
    """
    seen: dict[Hashable, int] = {}
    first = [seen.setdefault(name, row) for row, name in enumerate(ids)]
    differs = {
        name: [values[at] != value for at, value in zip(first, values, strict=True)] for name, values in columns.items()
    }
    return RepeatedRows(np.array(first), {name: np.array(found, bool) for name, found in differs.items()})


def duplicate_keys(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(n,) the first row with the key of each, as `RepeatedRows.first`, for (n, 2) keys; 58 bytes a row meanwhile."""
    order = np.lexsort(keys.T)
    in_order = keys[order]
    begins = np.ones(len(keys), bool)
    begins[1:] = (in_order[1:] != in_order[:-1]).any(axis=1)
    first = np.empty_like(order)
    # The order is stable: of rows with one key the first comes first.
    first[order] = order[begins][np.cumsum(begins) - 1]
    return first


def warn_of_duplicates(
    path: str, unit: str, found: RepeatedRows, value_of: Callable[[int, str], tuple[int, object]], becomes: str
) -> None:
    """Say how many rows repeat an earlier one, as a warning and with one pair where some say something else.

    Args:
        path: the file.
        unit: what rows are counted in, `line` or `row`.
        found: what repeats in it.
        value_of: the line of a row, and its value in a column.
        becomes: what becomes of rows that disagree, as the end of the sentence.
    """
    n_rows = len(found.first)
    n = n_rows - int(found.is_first.sum())
    if not n:
        return
    if not len(found.disagreeing):
        log.info("%s: %d of %d rows repeat an earlier query and are left out", plain(path), n, n_rows)
        return
    row = int(found.disagreeing[0])
    columns = [name for name, differs in found.differs.items() if differs.any()]
    column = next(name for name in columns if found.differs[name][row])
    (at, one), (line, other) = (value_of(place, column) for place in (int(found.first[row]), row))
    log.warning(
        "%s: %d of %d rows repeat an earlier query, %d of them with another %s (%s %d: %s; %s %d: %s); %s",
        plain(path),
        n,
        n_rows,
        len(found.disagreeing),
        " or ".join(columns),
        unit,
        at,
        _shown(one),
        unit,
        line,
        _shown(other),
        becomes,
    )


def _shown(value: object) -> str:
    return "none" if value is None else plain(repr(value), at_most=80)
