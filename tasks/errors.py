"""The error tree of tasks; the rules are those of `calib.errors`."""


class TaskError(Exception):
    """Root of everything tasks raise on purpose; the command line turns it into one sentence and exit code 2."""


class ExtraMissing(TaskError, ImportError):
    """A package of an optional extra is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(package, extra)
        self.package, self.extra = package, extra

    def __str__(self) -> str:
        return f"the package {self.package} is not installed; run: pip install 'routecal[{self.extra}]'"


class NoGroundTruth(TaskError, ValueError):
    """Nothing to grade answers against."""

    def __init__(self, n: int) -> None:
        super().__init__(n)
        self.n = n

    def __str__(self) -> str:
        return (
            f"none of the {self.n} queries has a ground_truth, so no answer can be graded; "
            "add that column, or replay recorded outcomes (--oracle replay --outcomes FILE)"
        )


class NothingUnseen(TaskError, ValueError):
    """Every query is one that the router was trained on."""

    def __init__(self, n: int) -> None:
        super().__init__(n)
        self.n = n

    def __str__(self) -> str:
        return (
            f"all {self.n} queries trained the router, which is right on those more often than it will be; "
            "calibrate it on others"
        )


class OptionMissing(TaskError, ValueError):
    """A step needs something that was neither given nor made by an earlier run."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.what, self.remedy = what, remedy

    def __str__(self) -> str:
        return f"no {self.what}: {self.remedy}"
