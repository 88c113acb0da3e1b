"""The error tree of tasks; the rules are those of `calib.errors`."""

from collections.abc import Mapping, Sequence

from routecal.storage.plain_text import plain


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


# What helps where most queries fail for one reason.
_HELP = {
    "judge error": "judge with another model (--judge-model), or name a second one (--second-judge)",
    "refused": "put right what the provider refuses, then run the same again",
    "broken reply": "look at what the server sends, and at its log; the same run again asks for these queries alone",
    "judges disagree": "name a judge who breaks the tie (--third-judge)",
    "unconfirmed": "name a second judge (--second-judge), or lower --judge-below",
    "not answered yet": "label without --finished-only to ask for them",
    "no stored answer": "take labels of an oracle that keeps its answers",
}


class NothingLabelled(TaskError, ValueError):
    """No query got a label, for other reasons than a missing ground truth alone.

    Args:
        n: queries.
        reasons: reason -> queries, the most frequent first.
        example: what was said of one query with the first of them, if anything was.
    """

    def __init__(self, n: int, reasons: Mapping[str, int], example: str = "") -> None:
        super().__init__(n, reasons, example)
        self.n, self.reasons, self.example = n, reasons, example

    def __str__(self) -> str:
        counts = ", ".join(f"{reason} ({count})" for reason, count in self.reasons.items())
        if self.example:
            counts += f", for one: {self.example.rstrip('.')}"
        help_ = _HELP.get(next(iter(self.reasons), ""), "look at these queries, or at what the ledger holds of them")
        return f"none of the {self.n} queries got a label: {counts}; {help_}"


class NothingToPlan(TaskError, ValueError):
    """A dry run of an oracle that asks nobody."""

    def __init__(self, oracle: str) -> None:
        super().__init__(oracle)
        self.oracle = oracle

    def __str__(self) -> str:
        return f"the {self.oracle} oracle asks nobody and costs nothing; label without --dry-run"


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


class NothingInCommon(TaskError, ValueError):
    """No query is in the queries, the labels and the features alike."""

    def __init__(self, n_queries: int, n_labels: int, n_features: int) -> None:
        super().__init__(n_queries, n_labels, n_features)
        self.n_queries, self.n_labels, self.n_features = n_queries, n_labels, n_features

    def __str__(self) -> str:
        return (
            f"no query is among the {self.n_queries} queries, the {self.n_labels} labels and the {self.n_features} "
            "features alike; run `routecal label` and `routecal extract` on the same file, or name tables of the same "
            "queries"
        )


class MixedQueries(TaskError, ValueError):
    """Labels and features that overlap only in part: they are of different files."""

    def __init__(self, labels: str, features: str, n_common: int) -> None:
        super().__init__(labels, features, n_common)
        self.labels, self.features, self.n_common = labels, features, n_common

    def __str__(self) -> str:
        return (
            f"{self.labels} and {self.features} are of different queries, with {self.n_common} in common; run "
            "`routecal label` and `routecal extract` on the same file, or name a run or tables that belong together"
        )


class RunUnknown(TaskError, KeyError):
    """A run was named that recorded nothing here."""

    def __init__(self, run_id: str, known: Sequence[str]) -> None:
        known = tuple(known)
        super().__init__(run_id, known)
        self.run_id, self.known = run_id, known

    def __str__(self) -> str:
        known = f"the newest are {', '.join(self.known)}" if self.known else "there are none yet"
        return f"no run {plain(self.run_id)} recorded anything in ROUTECAL_HOME; {known}"


class RunLacks(TaskError, ValueError):
    """The run that was named did not record what the step needs."""

    def __init__(self, run_id: str, lacking: Sequence[str], recorded: Sequence[str]) -> None:
        lacking, recorded = tuple(lacking), tuple(recorded)
        super().__init__(run_id, lacking, recorded)
        self.run_id, self.lacking, self.recorded = run_id, lacking, recorded

    def __str__(self) -> str:
        return (
            f"the run {self.run_id} recorded no {' and no '.join(self.lacking)}, only {', '.join(self.recorded)}; name "
            "another with --run, or leave it out: the newest that has all of it is then taken"
        )


class OldIds(TaskError, ValueError):
    """A table of routecal 0.1 that cannot be used beside tables of now."""

    def __init__(self, kind: str, uri: str, why: str) -> None:
        super().__init__(kind, uri, why)
        self.kind, self.uri, self.why = kind, uri, why

    def __str__(self) -> str:
        again = "label` over the same file again, which pays for no stored answer twice"
        remedy = again if self.kind == "labels" else "extract` over the same file again"
        return (
            f"the {self.kind} {plain(self.uri)} were made by routecal 0.1, which took texts that differ in case, form "
            f"or space for one query, and {self.why}; run `routecal {remedy}"
        )


class NoOutcomes(TaskError, FileNotFoundError):
    """A folder for the benchmark holds no outcomes file."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.folder = folder

    def __str__(self) -> str:
        return (
            f"{plain(self.folder)} holds no outcomes: a Parquet, JSONL or CSV file with the columns query, "
            "medium_label and large_label is needed"
        )


class UnknownSet(TaskError, KeyError):
    """A benchmark was asked for a set that its folder does not hold."""

    def __init__(self, name: str, folder: str, known: Sequence[str]) -> None:
        known = tuple(sorted(known))
        super().__init__(name, folder, known)
        self.name, self.folder, self.known = name, folder, known

    def __str__(self) -> str:
        known = plain(", ".join(self.known)) or "none"
        return f"there is no set {self.name!r} in {plain(self.folder)}; it holds {known}"


class OptionMissing(TaskError, ValueError):
    """A step needs something that was neither given nor made by an earlier run."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.what, self.remedy = what, remedy

    def __str__(self) -> str:
        return f"no {self.what}: {self.remedy}"


class InboxMissing(TaskError, FileNotFoundError):
    """The folder that a night gathers queries from is not there."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"there is no folder {plain(self.path)} to gather queries from; make it, or name another with --inbox"


class NightRuns(TaskError):
    """A night of the same home has not ended yet.

    Args:
        run: the name of its run.
        since: when it began.
        entry: of the registry, that it waits for the approval of; None if it works.
    """

    def __init__(self, run: str, since: str, entry: int | None = None) -> None:
        super().__init__(run, since, entry)
        self.run, self.since, self.entry = run, since, entry

    def __str__(self) -> str:
        doing = "is at work" if self.entry is None else f"waits for the approval of entry {self.entry}"
        return (
            f"the night {plain(self.run)}, begun {self.since}, {doing}, and there is one at a time; nothing was done, "
            "and the next night gathers what this one would have"
        )


class NothingServes(TaskError):
    """The registry names no head.

    Args:
        home: its root.
        absence: see `storage.layout.Home.absence`.
    """

    def __init__(self, home: str, absence: str = "") -> None:
        super().__init__(home, absence)
        self.home, self.absence = home, absence

    def __str__(self) -> str:
        return self.absence or f"no head was promoted in {self.home} yet; `routecal recalibrate` promotes the first"


class NothingToPromote(TaskError):
    """No decision of the registry waits for a person, or none with that number can be gone back to."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"{self.what}; `routecal heads` lists what there is"
