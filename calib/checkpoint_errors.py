"""What can be wrong with a router's checkpoint, a head's folder, or the queries they are given."""

from routecal.calib.errors import CalibError


class FeatureMismatch(CalibError, ValueError):
    """A head is given features that it was not trained on."""

    field: str
    head: object
    features: object
    sentence = (
        "the head was trained on features with {field} = {head!r}, these have {features!r}; extract them again "
        "with the head's own router and settings, or train a new head"
    )


class CheckpointMissing(CalibError, FileNotFoundError):
    """A folder that should hold a checkpoint does not."""

    path: str
    wanted: str
    sentence = "{path} holds no {wanted}; give the folder that save_pretrained wrote"


class CheckpointUnusable(CalibError, ValueError):
    """A checkpoint cannot be read, or would not be read as it was saved; the reason says what to do."""

    path: str
    reason: str
    sentence = "the checkpoint at {path} cannot be used: {reason}"


class NotQueries(CalibError, TypeError):
    """Something other than texts was given to be routed."""

    index: int | None
    kind: str

    def __str__(self) -> str:
        what = "queries are" if self.index is None else f"query {self.index} is"
        return f"{what} of type {self.kind}; give one str, or a list (array, Series) of str"


class QueryUnreadable(CalibError, ValueError):
    """Queries that hold nothing a router could read; the reason says what to do."""

    rows: tuple[int, ...]
    n: int
    reason: str

    def __str__(self) -> str:
        first = ", ".join(map(str, self.rows[:5])) + ", …" * (len(self.rows) > 5)
        return f"{len(self.rows)} of {self.n} queries cannot be read (rows {first}, from 0): {self.reason}"


class RowTooLarge(CalibError, RuntimeError):
    """The device has no memory for reading one query alone."""

    row: int
    n_tokens: int
    device: str
    sentence = (
        "query {row} (from 0) takes {n_tokens} tokens to read, more than the memory of {device} has room for; read "
        "less of each query (--max-tokens), the router in bfloat16 (--dtype bfloat16), or on another device"
    )


class HeadUnusable(CalibError, ValueError):
    """A folder holds the files of a head, but no head can be loaded from them."""

    path: str
    reason: str
    sentence = "the confidence head in {path} cannot be loaded: {reason}; save it again, or train a new one"


class RouterUnusable(CalibError, ValueError):
    """A checkpoint loads but is not a router over the configured policies; the reason says what to do."""

    path: str
    reason: str
    sentence = "the checkpoint at {path} cannot serve as a router: {reason}"


class NoOutcomeHead(CalibError, ValueError):
    """A folder should decide by the gain, and holds no head that tells it."""

    path: str
    sentence = (
        "{path} holds no joint outcome head, as heads of before version 0.3 and heads of labels without grades do not, "
        "so the gain of the large model is not known; run `routecal calibrate` on graded labels, or decide by "
        "confidence"
    )


class NotServable(CalibError, ValueError):
    """A folder holds a head, but not what it takes to route with it."""

    path: str
    missing: tuple[str, ...]

    def __str__(self) -> str:
        options = ", ".join(f"{name}=…" for name in self.missing)
        return (
            f"the head at {self.path} was saved without its {' and '.join(self.missing)}; give {options}, or the "
            "folder under calibrated/ that `routecal calibrate` writes"
        )


class NotExportable(CalibError, ValueError):
    """What a packed folder decides cannot be written in the form that another program reads.

    Args:
        path: the folder.
        program: that reads.
        reasons: each says what is in the way, and what to do about it.
    """

    path: str
    program: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.path} cannot be written for {self.program}: {'; '.join(self.reasons)}"
