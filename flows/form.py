"""What all parameter models share: each is the form of a flow in the Prefect UI, and the options of a command."""

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

    @classmethod
    def first(cls) -> tuple[str, ...]:
        """Fields that most people set."""
        return cls.FIRST or tuple(cls.model_fields)

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
