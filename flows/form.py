"""What all parameter models share: each is the form of a flow in the Prefect UI, and the options of a command.

What a field may hold is said in words from its JSON schema.
"""

import re
from functools import cache
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


def _arrange(schema: dict[str, Any], model: "type[Params]") -> None:
    """Order the fields of a form: required, then those that people set first, then the advanced ones by group."""
    advanced = model.advanced()
    groups = {field: group for group, fields in advanced.items() for field in fields}
    required = [field for field, info in model.model_fields.items() if info.is_required()]
    fields = list(dict.fromkeys([*required, *model.first(), *groups]))
    properties = schema["properties"]
    for position, field in enumerate(fields):
        properties[field]["position"] = position
        if field in groups:
            properties[field]["title"] = f"Advanced · {groups[field]}: {properties[field]['title']}"
    schema["properties"] = {field: properties[field] for field in fields}


class Params(BaseModel):
    """Unknown options, empty texts, NaN and infinity are errors.

    Attributes:
        FIRST: fields that most people set, in the order of form and help; () means all. The others are advanced.
        GROUP: the heading that the fields of this class stand under where they are advanced.
        EXAMPLE: options of one typical call of the command, for its help.
        POSITIONAL: the field that a word without an option sets; None: there is no such field.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        str_min_length=1,
        allow_inf_nan=False,
        json_schema_extra=_arrange,
    )

    FIRST: ClassVar[tuple[str, ...]] = ()
    GROUP: ClassVar[str] = "run"
    EXAMPLE: ClassVar[str] = ""
    POSITIONAL: ClassVar[str | None] = None

    @classmethod
    def first(cls) -> tuple[str, ...]:
        """Fields that most people set."""
        return cls.FIRST or tuple(cls.model_fields)

    @classmethod
    def listing(cls) -> dict[str, dict[str, str]]:
        """Names to choose from that the help lists, and what each is, under their heading."""
        return {}

    @classmethod
    def advanced(cls) -> dict[str, list[str]]:
        """The other fields, by group."""
        groups: dict[str, list[str]] = {}
        for field in cls.model_fields:
            if field not in cls.first():
                groups.setdefault(cls._home(field).GROUP, []).append(field)
        return groups

    @classmethod
    def _home(cls, field: str) -> "type[Params]":
        """The class that a field was declared in, or came into the forms with."""
        forms = [one for one in cls.__mro__ if issubclass(one, Params)]
        return next(one for one in reversed(forms) if field in one.model_fields)


# Patterns in words.
_PATTERNS = {
    r"\{query\}": "a text that holds {query}",
    r"^[\w-]+$": "letters, digits, _ and -",
    r"^(ray|dask|modal)(:.+)?$": "ray or dask, alone or with a cluster's address as in ray://HOST:PORT, or modal, "
    "alone or with a GPU as in modal:H100",
    r"^modal(:.+)?$": "modal, alone or with a GPU as in modal:H100",
}


def allowed(model: type[BaseModel], field: str) -> str:
    """What a field may hold, as it would stand after "give".

    >>> from typing import Literal
    >>> from pydantic import Field
    >>> class Form(BaseModel):
    ...     epochs: int | None = Field(default=None, ge=1, le=1000)
    ...     poolings: list[Literal["last", "mean"]]
    ...     rpm_of: dict[str, float]
    >>> for field in Form.model_fields:
    ...     print(allowed(Form, field))
    a whole number from 1 to 1000
    one or more of last, mean, with commas between
    NAME=VALUE, each VALUE a number
    """
    info = model.model_fields[field]
    words = _words(_properties(model)[field])
    # A text may be anything; what it means says more.
    return _phrase(info.description) if words == "a text" and info.description else words


def _phrase(description: str) -> str:
    """The beginning of a description, as it would stand within a sentence.

    >>> _phrase("A JSONL file with a column query; others are optional. Default: none.")
    'a JSONL file with a column query'
    """
    first = re.split(r"[.;] |[.;]$", description)[0]
    return first if first[1:2].isupper() else first[0].lower() + first[1:]


@cache
def _properties(model: type[BaseModel]) -> dict[str, Any]:
    return dict(model.model_json_schema(by_alias=False)["properties"])


def _words(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return _words(next(one for one in schema["anyOf"] if one.get("type") != "null"))
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    match schema.get("type"):
        case "integer" | "number":
            return ("a whole number" if schema["type"] == "integer" else "a number") + _range(schema)
        case "boolean":
            return "true or false"
        case "array":
            item = schema.get("items") or schema.get("prefixItems", [{}])[0]
            one = _words(item)
            many = f"one or more{one.removeprefix('one')}" if "enum" in item else f"{one}, or several"
            return f"{many}, with commas between"
        case "object":
            value = schema.get("additionalProperties") or {}
            return f"NAME=VALUE, each VALUE {_words(value)}"
        case _:
            return _PATTERNS.get(schema.get("pattern", ""), "a text")


def _range(schema: dict[str, Any]) -> str:
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {_number(low)} to {_number(high)}"
    limits = (("of at least", low), ("above", above), ("of at most", high), ("below", below))
    words = [f"{word} {_number(limit)}" for word, limit in limits if limit is not None]
    return "".join(f" {'and ' if i else ''}{one}" for i, one in enumerate(words))


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:g}"
