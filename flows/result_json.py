"""The result of a command as JSON, for programs."""

import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import ConfigDict, TypeAdapter

from routecal.storage.artifact import within
from routecal.storage.layout import Home

_ANYTHING: TypeAdapter[Any] = TypeAdapter(Any, config=ConfigDict(ser_json_inf_nan="null"))


def as_json(result: Any) -> str:
    """The result with the names that its Python type has; NaN and infinity are null.

    >>> from typing import NamedTuple
    >>> Exported = NamedTuple("Exported", [("path", str), ("n", int)])
    >>> print(as_json(Exported("examples.jsonl", 3)))
    {
      "path": "examples.jsonl",
      "n": 3
    }
    """
    # Within no home: places are printed as they are opened, not as they are stored.
    return _ANYTHING.dump_json(_plain(result), indent=2, context=within(Home(root=os.devnull))).decode()


def _plain(value: Any) -> Any:
    """Mappings and lists of what pydantic can write; of named tuples mappings, where pydantic would write lists."""
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
