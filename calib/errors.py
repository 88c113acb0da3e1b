"""The errors of calib: what was given, what is allowed, what to do."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from routecal.root_error import RoutecalError, UnknownChoice

Entry = TypeVar("Entry")


class CalibError(RoutecalError):
    """Root of everything calib raises on purpose."""


class UnknownName(UnknownChoice, CalibError):
    """A registry does not hold the name that was asked for."""


def known(kind: str, name: str, table: Mapping[str, Entry]) -> Entry:
    """The entry of a registry.

    Raises:
        UnknownName: no such entry; lists those there are.
    """
    if name not in table:
        raise UnknownName(kind, name, table)
    return table[name]


class NoInterval(CalibError, ValueError):
    """A metric has no interval that is known to cover.

    Args:
        metric: its name.
        of: how an interval was asked for, between "no interval" and the name: "of", "by resampling".
        known: metrics that have such an interval.
    """

    metric: str
    of: str
    known: Iterable[str]

    def __post_init__(self) -> None:
        self.known = tuple(self.known)
        super().__post_init__()

    def __str__(self) -> str:
        return f"no interval {self.of} {self.metric} is known to cover; ask for one of {', '.join(self.known)}"


class InvalidProbability(CalibError, ValueError):
    """A value that should be a probability is not in [0, 1] or not finite."""

    name: str
    index: int
    value: float
    sentence = "{name}[{index}] = {value!r} is not in [0, 1]; if these are logits, apply a sigmoid first"


class InvalidLabel(CalibError, ValueError):
    """A value that should be 0 or 1 is something else."""

    name: str
    index: int
    value: float
    sentence = "{name}[{index}] = {value!r} is not 0 or 1; give 1 where the answer is right and 0 where it is wrong"


class LengthMismatch(CalibError, ValueError):
    """Two arrays that describe the same rows differ in length."""

    first: str
    n_first: int
    second: str
    n_second: int
    sentence = "{first} has {n_first} rows and {second} has {n_second}; both must describe the same rows"


class ShapeMismatch(CalibError, ValueError):
    """Tensors that describe the same rows have shapes that torch would broadcast, or cannot."""

    shapes: Mapping[str, tuple[int, ...]]
    allowed: str

    def __str__(self) -> str:
        given = ", ".join(f"{name} has shape {shape}" for name, shape in self.shapes.items())
        return f"{given}; give {self.allowed}"


class OneClass(CalibError, ValueError):
    """Every decision is right, or every one is wrong."""

    where: str
    n: int
    value: int

    def __str__(self) -> str:
        word = "right" if self.value else "wrong"
        return (
            f"the router is {word} on all {self.n} {self.where} examples, so a confidence cannot be calibrated; label "
            "queries on which it is sometimes right and sometimes wrong"
        )


class OnePolicy(CalibError, ValueError):
    """All queries that should train a router have the same true policy."""

    n: int
    policy: str
    sentence = (
        "the true policy of all {n} training queries is {policy}, so there is nothing to route; add queries of which "
        "some need the large model and some do not"
    )


class TooFewExamples(CalibError, ValueError):
    """There are fewer labelled examples than calibration needs."""

    n: int
    least: int
    sentence = (
        "{n} labelled examples are too few to calibrate on, at least {least} are needed, with some in every split; "
        "label more queries"
    )


class NonFinite(CalibError, ValueError):
    """NaN or infinity where numbers were expected."""

    what: str
    rows: tuple[int, ...]
    n: int

    def __str__(self) -> str:
        first = ", ".join(map(str, self.rows[:5]))
        return (
            f"{self.what} holds NaN or infinity in {len(self.rows)} of {self.n} rows (first: {first}); load the router "
            "in float32 (--dtype float32), and check the checkpoint if that does not help"
        )


class NotBinary(CalibError, ValueError):
    """Labels that should say right or wrong say something else."""

    found: str
    sentence = (
        "Only binary classification is supported. The labels are {found}; give two classes: whether each decision was "
        "right"
    )


class Collapsed(CalibError, RuntimeError):
    """Training drove every confidence to one value, the classic failure of calibration by reward."""

    stage: str
    std: float
    mean: float
    sentence = (
        "{stage} collapsed: every confidence is {mean:.3f} (standard deviation {std:.2g}); lower the learning rate, "
        "or use a proper reward (--preset proper)"
    )


class OutOfRange(CalibError, ValueError):
    """A parameter lies outside the values it may take."""

    name: str
    value: float
    allowed: str
    sentence = "{name} = {value!r} is not allowed; give {allowed}"


class ColumnMissing(CalibError, ValueError):
    """A method needs a column that these examples do not hold."""

    column: str
    remedy: str
    sentence = "these examples have no {column!r}; {remedy}"


class ChosenOnTest(CalibError, ValueError):
    """A choice was handed rows of the test split."""

    what: str
    n: int
    sentence = (
        "{what} without looking at test rows, and {n} of these rows are of the test split; leave them out with "
        'examples.only("train", "calibration", "validation")'
    )
