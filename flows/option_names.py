"""The fields of a parameter model as options of a command: how each is spelled, and what kind it is."""

import types
from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from routecal.calib import settings


class Option(NamedTuple):
    """One field as an option.

    Attributes:
        field: its name in the model.
        kind: bool is a flag; list and dict hold several values, separated by commas or given one by one; str one value,
            which the model makes a number of where it wants one.
        is_optional: whether `None` is a value.
    """

    field: str
    kind: type
    is_optional: bool


# Fields whose option is another word: one that Python keeps for itself, or a shorter one.
_SPELLED = {"probability": "with", "n_bins": "bins", "log_format": "from"}


def spelled(field: str) -> str:
    """The option of a field.

    >>> spelled("max_usd"), spelled("probability")
    ('--max-usd', '--with')
    """
    return "--" + _SPELLED.get(field, field).replace("_", "-")


# Options of earlier versions, which still work, and what they are called now.
RENAMED = {spelled(old): spelled(new) for old, new in settings.RENAMED.items()}


def negated(flag: str) -> str:
    """The flag that sets the same field to the opposite.

    >>> negated("--vertex"), negated("--no-vertex")
    ('--no-vertex', '--vertex')
    """
    return f"--{flag.removeprefix('--no-')}" if flag.startswith("--no-") else f"--no-{flag.removeprefix('--')}"


def options_of(model: type[BaseModel]) -> dict[str, Option]:
    """Every way to write an option, and what it is."""
    options: dict[str, Option] = {}
    for field, info in model.model_fields.items():
        option = Option(field, *_kind(info))
        alias = info.validation_alias
        names = [str(name) for name in alias.choices] if isinstance(alias, AliasChoices) else [field]
        options |= {spelled(name): option for name in names}
    return options


def positional_of(model: type[BaseModel]) -> str | None:
    """The field that a word without an option sets; None if there is no such field."""
    return getattr(model, "POSITIONAL", None)


def closest(name: str, options: dict[str, Option], more: Iterable[str] = ()) -> str | None:
    """The option that was probably meant: another spelling, one that it begins, or one that looks like it.

    Args:
        name: as somebody wrote it.
        options: of the command.
        more: options that every command has.
    """
    bare = "--" + name.lstrip("-").replace("_", "-").lower()
    flags = [negated(one) for one, option in options.items() if option.kind is bool]
    is_short = len(bare) <= 4
    known = [*options, *flags, *(() if is_short else more)]
    begun = [] if is_short else [one for one in known if one.startswith(bare)]
    # One letter is like any short name.
    like = get_close_matches(bare, known, n=1) if len(bare) > len("--n") else []
    near = next(iter([one for one in known if one == bare] or begun or like), None)
    return None if near is None else RENAMED.get(near, near)


def _kind(info: FieldInfo) -> tuple[type, bool]:
    wanted = info.annotation
    parts = get_args(wanted) if get_origin(wanted) in (Union, types.UnionType) else (wanted,)
    bare = next(part for part in parts if part is not type(None))
    origin = get_origin(bare) or bare
    kind = bool if origin is bool else list if origin in (list, tuple) else dict if origin is dict else str
    return kind, type(None) in parts
