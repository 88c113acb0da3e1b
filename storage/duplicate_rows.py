"""Rows of a file that repeat an earlier one, and those of them that say something else."""

import logging
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

from routecal.plain_text import plain
from routecal.storage.row_files import FileRows

log = logging.getLogger(__name__)


class RepeatedRows(NamedTuple):
    """What repeats in a file.

    Attributes:
        kept: the first row of every id, in order.
        pairs: by column, (the first row, a later one) of every later row whose value is another than the first one's.
    """

    kept: list[int]
    pairs: dict[str, list[tuple[int, int]]]

    @property
    def n_disagreeing(self) -> int:
        """Later rows that say something else in any column."""
        return len({later for pairs in self.pairs.values() for _, later in pairs})


def duplicate_rows(ids: Iterable[Hashable], columns: Mapping[str, Sequence[object]]) -> RepeatedRows:
    """The first row of every id, and where later ones disagree with it.

    Args:
        ids: (n,) one per row.
        columns: (n,) values by the name of the column, of those that should agree.
    """
    first: dict[Hashable, int] = {}
    pairs: dict[str, list[tuple[int, int]]] = {name: [] for name in columns}
    for row, name in enumerate(ids):
        if (at := first.setdefault(name, row)) == row:
            continue
        for column, values in columns.items():
            if values[at] != values[row]:
                pairs[column].append((at, row))
    return RepeatedRows([*first.values()], {column: found for column, found in pairs.items() if found})


def warn_of_duplicates(
    rows: FileRows, found: RepeatedRows, columns: Mapping[str, Sequence[object]], becomes: str
) -> None:
    """Say how many rows repeat an earlier one, as a warning and with one pair where some say something else.

    Args:
        rows: the file.
        found: what repeats in it.
        columns: as `duplicate_rows` had them.
        becomes: what becomes of rows that disagree, as the end of the sentence.
    """
    n = len(rows) - len(found.kept)
    if not n:
        return
    if not found.pairs:
        log.info("%s: %d of %d rows repeat an earlier query and are left out", plain(rows.path), n, len(rows))
        return
    column, (at, row) = min(((c, pairs[0]) for c, pairs in found.pairs.items()), key=lambda pair: pair[1][1])
    one, other = (_shown(columns[column][i]) for i in (at, row))
    log.warning(
        "%s: %d of %d rows repeat an earlier query, %d of them with another %s (%s %d: %s; %s %d: %s); %s",
        plain(rows.path),
        n,
        len(rows),
        found.n_disagreeing,
        " or ".join(found.pairs),
        rows.unit,
        rows.lines[at],
        one,
        rows.unit,
        rows.lines[row],
        other,
        becomes,
    )


def _shown(value: object) -> str:
    return "none" if value is None else plain(repr(value), at_most=80)
