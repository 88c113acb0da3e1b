"""The question among the fields of a row, and its choices below it."""

from collections.abc import Iterable, Mapping
from typing import Any

from routecal.storage.eval_logs.errors import SampleUnusable

# Names that data sets give to what is asked, in whatever case; the first that a row has is taken.
USUAL_FIELDS = (
    "question",
    "query",
    "problem",
    "prompt",
    "question_stem",
    "input",
    "instruction",
    "goal",
    "sentence",
    "text",
)
_CHOICES = ("choices", "options")


def with_choices(text: str, choices: Iterable[object]) -> str:
    """The question, and a line `A) …` for each choice."""
    return "\n".join([text, *(f"{chr(ord('A') + i)}) {choice}" for i, choice in enumerate(choices))])


def question_in(row: Mapping[str, Any], field: str | None, path: str, place: str) -> str:
    """What a row of a data set asks, without its choices.

    Args:
        row: its fields.
        field: the one that holds the question, if the user named it.
        path: of the log, for the sentence.
        place: of the sample.

    Raises:
        SampleUnusable: there is no such field, or none with a usual name, or it is no text.
    """
    names = {one.lower(): one for one in reversed(list(row))}
    name = field if field is not None else next((names[usual] for usual in USUAL_FIELDS if usual in names), None)
    if name is None or name not in row:
        missing = "no field with a usual name of a question" if name is None else f"no field {name!r}"
        there = ", ".join(row) or "none"
        remedy = "name the field that holds the question with --query-field"
        raise SampleUnusable(path, place, f"it has {missing}; its fields are {there}", remedy)
    if not isinstance(row[name], str):
        raise SampleUnusable(path, place, f"its {name!r} is no text", "name another field with --query-field")
    return str(row[name])


def choices_in(row: Mapping[str, Any]) -> list[str]:
    """The choices that a row has under a usual name: a list of texts, or one beside its labels, as data sets of
    Hugging Face hold them."""
    for name in _CHOICES:
        found = row.get(name)
        found = found.get("text") if isinstance(found, dict) else found
        if isinstance(found, list) and len(found) > 1 and all(isinstance(choice, str) for choice in found):
            return found
    return []
