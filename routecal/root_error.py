"""The root of every error that routecal raises on purpose; each package's own tree begins at it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, dataclass_transform

from routecal.plain_text import plain


@dataclass_transform(eq_default=False)
class RoutecalError(Exception):
    """What is wrong and what to do about it, in one sentence; the command line prints it and exits with code 2.

    A subclass annotates the facts in the order of its arguments, as a dataclass does, and writes the sentence with
    their names in braces:

        class InputEmpty(StorageError, ValueError):
            path: str
            sentence = "{path} holds no rows; give a file with at least one query"

    Texts among the facts are shown on one line, control characters spelled out. A sentence that depends on the facts
    is a `__str__` of its own. `args` are the facts, so every error survives pickling (Prefect may persist errors).
    """

    sentence: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclass(eq=False, repr=False, match_args=False)(cls)

    def __post_init__(self) -> None:
        self.args = tuple(vars(self).values())

    def __str__(self) -> str:
        return self.sentence.format_map({k: _Text(v) if isinstance(v, str) else v for k, v in vars(self).items()})


class UnknownChoice(RoutecalError, KeyError):
    """None of the known names was given; calib and storage each have an error of this kind in their own tree."""

    kind: str
    name: str
    known: Iterable[str]

    def __post_init__(self) -> None:
        self.known = tuple(sorted(self.known))
        super().__post_init__()

    def __str__(self) -> str:
        return f"{self.name!r} is not a known {self.kind}; choose one of {', '.join(self.known)}"


class _Text(str):
    """A text that a sentence shows on one line, with or without quotes."""

    def __format__(self, spec: str) -> str:
        return format(plain(self), spec)

    def __repr__(self) -> str:
        return plain(super().__repr__())
