"""The error tree of calib.

Arguments are the facts; `__str__` is the sentence: what came, what is allowed, what to do.
`super().__init__` gets the same arguments, so every error survives pickling.
"""

from collections.abc import Iterable, Mapping


class CalibError(Exception):
    """Root of everything calib raises on purpose; the command line turns it into one sentence and exit code 2."""


class UnknownName(CalibError, KeyError):
    """A registry was asked for a name it does not hold."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = tuple(sorted(known))
        super().__init__(kind, name, known)
        self.kind, self.name, self.known = kind, name, known

    def __str__(self) -> str:
        return f"{self.name!r} is not a known {self.kind}; choose one of {', '.join(self.known)}"


class NoInterval(CalibError, ValueError):
    """A metric has no interval that is known to cover."""

    def __init__(self, metric: str, of: str, known: Iterable[str]) -> None:
        known = tuple(known)
        super().__init__(metric, of, known)
        self.metric, self.of, self.known = metric, of, known

    def __str__(self) -> str:
        return f"no interval {self.of} {self.metric} is known to cover; ask for one of {', '.join(self.known)}"


class InvalidProbability(CalibError, ValueError):
    """A value that should be a probability is not in [0, 1] or not finite."""

    def __init__(self, name: str, index: int, value: float) -> None:
        super().__init__(name, index, value)
        self.name, self.index, self.value = name, index, value

    def __str__(self) -> str:
        return (
            f"{self.name}[{self.index}] = {self.value!r} is not in [0, 1]; if these are logits, apply a sigmoid first"
        )


class InvalidLabel(CalibError, ValueError):
    """A value that should be 0 or 1 is something else."""

    def __init__(self, name: str, index: int, value: float) -> None:
        super().__init__(name, index, value)
        self.name, self.index, self.value = name, index, value

    def __str__(self) -> str:
        return f"{self.name}[{self.index}] = {self.value!r} is not 0 or 1"


class LengthMismatch(CalibError, ValueError):
    """Two arrays that describe the same rows differ in length."""

    def __init__(self, first: str, n_first: int, second: str, n_second: int) -> None:
        super().__init__(first, n_first, second, n_second)
        self.first, self.n_first, self.second, self.n_second = first, n_first, second, n_second

    def __str__(self) -> str:
        return (
            f"{self.first} has {self.n_first} rows and {self.second} has {self.n_second}; "
            "they must describe the same rows"
        )


class ShapeMismatch(CalibError, ValueError):
    """Tensors that describe the same rows have shapes that torch would broadcast, or cannot."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], allowed: str) -> None:
        super().__init__(shapes, allowed)
        self.shapes, self.allowed = shapes, allowed

    def __str__(self) -> str:
        came = ", ".join(f"{name} has shape {shape}" for name, shape in self.shapes.items())
        return f"{came}; give {self.allowed}"


class OneClass(CalibError, ValueError):
    """Every decision is right, or every one is wrong."""

    def __init__(self, where: str, n: int, value: int) -> None:
        super().__init__(where, n, value)
        self.where, self.n, self.value = where, n, value

    def __str__(self) -> str:
        word = "right" if self.value else "wrong"
        return (
            f"the router is {word} on all {self.n} {self.where} examples: there is nothing to tell apart, so a "
            "confidence cannot be calibrated; label queries on which it is sometimes right and sometimes wrong"
        )


class OnePolicy(CalibError, ValueError):
    """All queries that should train a router have the same true policy."""

    def __init__(self, n: int, policy: str) -> None:
        super().__init__(n, policy)
        self.n, self.policy = n, policy

    def __str__(self) -> str:
        return (
            f"the true policy of all {self.n} training queries is {self.policy}: there is nothing to route; "
            "train on queries of which some need the large model"
        )


class TooFewExamples(CalibError, ValueError):
    """Fewer labelled examples than calibration can be done with."""

    def __init__(self, n: int, least: int) -> None:
        super().__init__(n, least)
        self.n, self.least = n, least

    def __str__(self) -> str:
        return (
            f"{self.n} labelled examples are too few to calibrate on, at least {self.least} are needed with some in "
            "every split; label more queries"
        )


class NonFinite(CalibError, ValueError):
    """NaN or infinity where numbers were expected."""

    def __init__(self, what: str, rows: tuple[int, ...], n: int) -> None:
        super().__init__(what, rows, n)
        self.what, self.rows, self.n = what, rows, n

    def __str__(self) -> str:
        first = ", ".join(map(str, self.rows[:5]))
        return (
            f"{self.what} holds NaN or infinity in {len(self.rows)} of {self.n} rows (first: {first}); "
            "load the router in float32 (--dtype float32) and check the checkpoint"
        )


class FeatureMismatch(CalibError, ValueError):
    """A head is given features it was not trained on."""

    def __init__(self, field: str, head: object, features: object) -> None:
        super().__init__(field, head, features)
        self.field, self.head, self.features = field, head, features

    def __str__(self) -> str:
        return (
            f"the head was trained on features with {self.field} = {self.head!r}, these have {self.features!r}; "
            "extract again with the head's own router and settings, or train a new head"
        )


class CheckpointMissing(CalibError, FileNotFoundError):
    """A folder that should hold a checkpoint does not."""

    def __init__(self, path: str, wanted: str) -> None:
        super().__init__(path, wanted)
        self.path, self.wanted = path, wanted

    def __str__(self) -> str:
        return f"{self.path} holds no {self.wanted}; give the folder that save_pretrained wrote"


class CheckpointUnusable(CalibError, ValueError):
    """A checkpoint is there, but what would be read is not what was saved, or cannot be read as it was meant."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"the checkpoint at {self.path} cannot be used: {self.reason}"


class NotQueries(CalibError, TypeError):
    """Something other than texts was given to be routed."""

    def __init__(self, index: int | None, kind: str) -> None:
        super().__init__(index, kind)
        self.index, self.kind = index, kind

    def __str__(self) -> str:
        what = (
            f"queries are of type {self.kind}" if self.index is None else f"query {self.index} is of type {self.kind}"
        )
        return f"{what}; give one str, or a list (array, Series) of str"


class QueryUnreadable(CalibError, ValueError):
    """Queries that hold nothing a router could read."""

    def __init__(self, rows: tuple[int, ...], n: int, reason: str) -> None:
        super().__init__(rows, n, reason)
        self.rows, self.n, self.reason = rows, n, reason

    def __str__(self) -> str:
        first = ", ".join(map(str, self.rows[:5])) + ", …" * (len(self.rows) > 5)
        return f"{len(self.rows)} of {self.n} queries cannot be read (rows {first}, from 0): {self.reason}"


class HeadUnusable(CalibError, ValueError):
    """A folder holds the files of a head, but no head can be made of them."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"no confidence head can be made of {self.path}: {self.reason}; save it again, or train a new one"


class NotBinary(CalibError, ValueError):
    """Labels that should say right or wrong say something else."""

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found

    def __str__(self) -> str:
        return (
            f"Only binary classification is supported. The labels are {self.found}; "
            "give two classes: whether each decision was right"
        )


class RouterUnusable(CalibError, ValueError):
    """A checkpoint loads but is not a router over the configured policies."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"the checkpoint at {self.path} cannot serve as a router: {self.reason}"


class Collapsed(CalibError, RuntimeError):
    """Training drove every confidence to one value, the classic failure of calibration by reward."""

    def __init__(self, stage: str, std: float, mean: float) -> None:
        super().__init__(stage, std, mean)
        self.stage, self.std, self.mean = stage, std, mean

    def __str__(self) -> str:
        return (
            f"{self.stage} collapsed: every confidence is {self.mean:.3f} (standard deviation {self.std:.2g}); "
            "lower the learning rate or use a proper reward (--preset proper)"
        )


class OutOfRange(CalibError, ValueError):
    """A parameter lies outside the values it may take."""

    def __init__(self, name: str, value: float, allowed: str) -> None:
        super().__init__(name, value, allowed)
        self.name, self.value, self.allowed = name, value, allowed

    def __str__(self) -> str:
        return f"{self.name} = {self.value!r} is not allowed; give {self.allowed}"


class GradeUnknown(CalibError, ValueError):
    """A query's grade is missing, so nobody knows what serving it would have brought."""

    def __init__(self, model: str, n_missing: int, n: int) -> None:
        super().__init__(model, n_missing, n)
        self.model, self.n_missing, self.n = model, n_missing, n

    def __str__(self) -> str:
        return (
            f"{self.n_missing} of {self.n} answers of the {self.model} model have no grade; cost and quality need "
            f"{self.model}_grade (CORRECT, INCORRECT or NOT_ATTEMPTED) of every query, not its policy alone"
        )


class PriceUnknown(CalibError, ValueError):
    """What an answer cost is not known; it is never taken for 0."""

    def __init__(self, model: str, n_missing: int, n: int) -> None:
        super().__init__(model, n_missing, n)
        self.model, self.n_missing, self.n = model, n_missing, n

    def __str__(self) -> str:
        return (
            f"the cost of {self.n_missing} of {self.n} answers of the {self.model} model is unknown, and an unknown "
            f"price is not 0; record {self.model}_cost_usd with every label, or give a flat price per answer of both "
            "models in one unit (--medium-price 1 --large-price 20 says that large costs twenty times as much)"
        )


class InvalidCost(CalibError, ValueError):
    """A cost is negative or infinite."""

    def __init__(self, model: str, index: int, value: float) -> None:
        super().__init__(model, index, value)
        self.model, self.index, self.value = model, index, value

    def __str__(self) -> str:
        return f"{self.model}_cost[{self.index}] = {self.value!r} is not a cost; give finite numbers, at least 0"


class NothingToSave(CalibError, ValueError):
    """The large model is free, so no share of its cost can be saved."""

    def __init__(self, n: int) -> None:
        super().__init__(n)
        self.n = n

    def __str__(self) -> str:
        return (
            f"the large model costs 0 on all {self.n} queries, so there is nothing to save; if what it takes is time "
            "or hardware, say so in prices of your own (--medium-price, --large-price)"
        )


class NotServable(CalibError, ValueError):
    """A folder holds a head, but not what it takes to route with it."""

    def __init__(self, path: str, missing: tuple[str, ...]) -> None:
        super().__init__(path, missing)
        self.path, self.missing = path, missing

    def __str__(self) -> str:
        options = ", ".join(f"{name}=…" for name in self.missing)
        return (
            f"the head at {self.path} does not say its {' and '.join(self.missing)}; give {options}, or the folder "
            "under calibrated/ that `routecal calibrate` writes"
        )


class ColumnMissing(CalibError, ValueError):
    """A method needs something that these examples do not hold."""

    def __init__(self, column: str, remedy: str) -> None:
        super().__init__(column, remedy)
        self.column, self.remedy = column, remedy

    def __str__(self) -> str:
        return f"these examples have no {self.column!r}; {self.remedy}"


class ChosenOnTest(CalibError, ValueError):
    """A choice was handed rows of the test split."""

    def __init__(self, what: str, n: int) -> None:
        super().__init__(what, n)
        self.what, self.n = what, n

    def __str__(self) -> str:
        return (
            f"{self.what} without looking at test rows, and {self.n} of these rows are of the test split; "
            'leave them out with examples.only("train", "calibration", "validation")'
        )
