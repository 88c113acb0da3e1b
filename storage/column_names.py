"""What the columns of a user's file are called: names as written, variants of them, and the user's own mapping."""

import csv
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from routecal.storage.input_errors import MissingColumn, WrongMapping

# What may be mapped: the columns of queries, and those that only outcomes have.
QUERY_COLUMNS = (
    "query",
    "ground_truth",
    "aliases",
    "topic",
    "context",
    "received_at",
    "id",
    "external_id",
    "query_id",
)
OUTCOME_COLUMNS = (
    *(f"{who}_{what}" for what in ("model", "answer", "label") for who in ("medium", "large")),
    *(f"{who}_{what}" for who in ("medium", "large") for what in ("tokens_in", "tokens_out")),
    "medium_cost_usd",
    "large_cost_usd",
    "label_source",
)

# What a reader of files gives of some rows at a time: wanted columns by our names, where each row starts, and what is
# wrong with which row.
Read = tuple[dict[str, list[object]], Sequence[int], list[tuple[int, str]]]

# What others call them, the likeliest first.
_OFTEN = {
    "query": ("question", "prompt", "input", "instruction", "problem", "user_query", "query_text", "text"),
    "ground_truth": ("answer", "target", "reference", "expected_output", "expected", "gold", "output", "solution"),
    "medium_label": ("medium_grade", "medium_correct", "weak_label", "small_label"),
    "large_label": ("large_grade", "large_correct", "strong_label", "big_label"),
}


def mapping_of(text: str | None, known: Sequence[str] = (*QUERY_COLUMNS, *OUTCOME_COLUMNS)) -> dict[str, str]:
    """The pairs of `--columns`: our name -> the file's.

    Args:
        text: pairs separated by commas, as `query=question,ground_truth=answer`; a pair that holds a comma stands in
            double quotes.
        known: our names.

    Raises:
        WrongMapping: a pair is none, names no column of ours, or a column comes twice.

    >>> mapping_of("query=question, ground_truth=answer")
    {'query': 'question', 'ground_truth': 'answer'}
    """
    if text is None or not text.strip():
        return {}
    mapping: dict[str, str] = {}
    try:
        pairs = [pair for line in csv.reader([text], skipinitialspace=True, strict=True) for pair in line]
    except csv.Error as error:
        raise WrongMapping(text, f"it cannot be read ({error})") from None
    for pair in pairs:
        ours, equals, theirs = (part.strip() for part in pair.partition("="))
        if not (ours and equals and theirs):
            raise WrongMapping(text, f"{pair.strip()!r} is not a pair")
        if ours not in known:
            raise WrongMapping(text, f"{ours!r} is not one of our columns (they are {', '.join(known)})")
        if ours in mapping:
            raise WrongMapping(text, f"{ours!r} is given twice")
        if theirs in mapping.values():
            raise WrongMapping(text, f"the file's column {theirs!r} is given twice")
        mapping[ours] = theirs
    return mapping


class LaterColumns(Exception):
    """A file has columns that its first rows did not show, and must be read again from the start; never seen by users.

    Attributes:
        present: the columns that it has, as `Wanted.present`.
    """

    def __init__(self, present: tuple[str, ...]) -> None:
        super().__init__(present)
        self.present = present


@dataclass(frozen=True)
class Wanted:
    """Which columns of a file are read, and under which names they are looked for.

    Attributes:
        path: the file, as the user named it.
        names: ours.
        required: those of them that the file must have under some name.
        mapping: our name -> the file's, which the file must have; None where users can give none.
        lenient: those of ours that may also stand under their own names where the file lacks what they are mapped to.
        present: columns that the file is known to have before it is read; JSON lines may show one in their last row.
        rows_at_a_time: how many rows are Python values at once, of 1 to 2 KB each; 2 or more.
    """

    path: str
    names: tuple[str, ...]
    required: tuple[str, ...] = ()
    mapping: Mapping[str, str] | None = None
    lenient: Collection[str] = ()
    present: tuple[str, ...] = ()
    rows_at_a_time: ClassVar[int] = 1 << 13

    def places(self, present: Sequence[str]) -> dict[str, int]:
        """Where each column is among those of the file; those that it lacks are left out.

        A column is found under the name that it is mapped to, else under its own, else under the one variant of its own
        that differs in case, outer space, or in spaces and hyphens for underscores.

        Raises:
            MissingColumn: the file lacks a mapped or a required column, or several could be the one that is wanted.
        """
        exact: dict[str, list[int]] = {}
        variants: dict[str, list[int]] = {}
        for place, name in enumerate(present):
            exact.setdefault(name.strip(), []).append(place)
            variants.setdefault(_level(name), []).append(place)
        found: dict[str, int] = {}
        for ours in self.names:
            theirs = (self.mapping or {}).get(ours)
            if theirs is not None and theirs not in exact and ours in self.lenient:
                theirs = None
            at = exact.get(theirs or ours) or ([] if theirs else variants.get(ours)) or []
            if len(at) > 1:
                twice = tuple(present[place] for place in at)
                raise MissingColumn(self.path, theirs or ours, _named(present), several=twice)
            if at:
                found[ours] = at[0]
            elif theirs or ours in self.required:
                advice = "" if theirs else self._advice(present)
                raise MissingColumn(self.path, theirs or ours, _named(present), advice=advice)
        return found

    def may_be(self, name: str) -> bool:
        """Whether a column of this name may be one of those that are read."""
        return name.strip() in (self.mapping or {}).values() or _level(name) in self.names

    def _advice(self, present: Sequence[str]) -> str:
        """The option that would name what is missing, where the names of the columns tell what it may be."""
        if self.mapping is None:
            return ""
        levels = {_level(name): name.strip() for name in reversed(present)}
        pairs = dict(self.mapping)
        for ours in dict.fromkeys([*self.required, "ground_truth"]):
            free = (levels[name] for name in _OFTEN.get(ours, ()) if name in levels)
            likely = next((name for name in free if name not in pairs.values()), None)
            if ours not in levels and ours not in pairs and likely is not None:
                pairs[ours] = likely
        if pairs.keys() == self.mapping.keys():
            return ""
        text = ",".join(_pair(ours, theirs) for ours, theirs in pairs.items())
        return f"--columns {shlex.quote(text)}"


def _level(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


def _named(present: Sequence[str]) -> list[str]:
    return [name for name in present if name.strip()]


def _pair(ours: str, theirs: str) -> str:
    pair = f"{ours}={theirs}"
    return '"' + pair.replace('"', '""') + '"' if "," in pair or '"' in pair else pair
