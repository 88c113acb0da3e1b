"""The errors of tasks: what was found, what is allowed, what to do."""

from collections.abc import Mapping, Sequence

from routecal.plain_text import plain
from routecal.root_error import RoutecalError


class TaskError(RoutecalError):
    """Root of everything tasks raise on purpose."""


class ExtraMissing(TaskError, ImportError):
    """A package of an optional extra is not installed."""

    package: str
    extra: str
    sentence = "the package {package} is not installed; run: pip install 'routecal[{extra}]'"


class NoGroundTruth(TaskError, ValueError):
    """Nothing to grade answers against."""

    n: int
    sentence = (
        "none of the {n} queries has a ground_truth, so no answer can be graded; add that column, or replay recorded "
        "outcomes (--oracle replay --outcomes FILE)"
    )


# What helps where most queries fail for one reason.
_HELP = {
    "judge error": "judge with another model (--judge-model), or name a second one (--second-judge)",
    "refused": "correct what the provider refuses, then run the same command again",
    "broken reply": "look at what the server sends, and at its log; the same command again asks for these queries only",
    "judges disagree": "name a judge who breaks the tie (--third-judge)",
    "unconfirmed": "name a second judge (--second-judge), or lower --judge-below",
    "not answered yet": "label without --finished-only to ask for them",
    "no stored answer": "use labels of an oracle that keeps its answers",
}


class NothingLabelled(TaskError, ValueError):
    """No query got a label, for other reasons than a missing ground truth alone.

    Args:
        n: queries.
        reasons: reason -> queries, the most frequent first.
        example: the message about one query with the first of them, if there was one.
    """

    n: int
    reasons: Mapping[str, int]
    example: str = ""

    def __str__(self) -> str:
        counts = ", ".join(f"{reason} ({count})" for reason, count in self.reasons.items())
        if self.example:
            counts += f", for one: {self.example.rstrip('.')}"
        help_ = _HELP.get(next(iter(self.reasons), ""), "look at these queries, and at their calls in the ledger")
        return f"none of the {self.n} queries got a label: {counts}; {help_}"


class NothingToPlan(TaskError, ValueError):
    """A dry run of an oracle that calls no model."""

    oracle: str
    sentence = "the {oracle} oracle calls no paid model and costs nothing; label without --dry-run"


class NothingUnseen(TaskError, ValueError):
    """Every query is one that the router was trained on."""

    n: int
    sentence = (
        "all {n} queries trained the router, which is right on those more often than on new ones; calibrate it on "
        "other queries, or train it on a part of these, with train-router --limit"
    )


class NothingInCommon(TaskError, ValueError):
    """No query is in the queries, the labels and the features alike."""

    n_queries: int
    n_labels: int
    n_features: int
    sentence = (
        "no query is among the {n_queries} queries, the {n_labels} labels and the {n_features} features alike; run "
        "`routecal label` and `routecal extract` on the same file, or name tables of the same queries"
    )


class MixedQueries(TaskError, ValueError):
    """Labels and features that overlap only in part: they are of different files."""

    labels: str
    features: str
    n_common: int
    sentence = (
        "{labels} and {features} are of different queries, with {n_common} in common; run `routecal label` and "
        "`routecal extract` on the same file, or name a run or tables that belong together"
    )


class RunUnknown(TaskError, KeyError):
    """A run was named that recorded nothing here."""

    run_id: str
    known: Sequence[str]

    def __str__(self) -> str:
        known = f"the newest are {', '.join(self.known)}" if self.known else "there are none yet"
        return f"no run {plain(self.run_id)} recorded anything in ROUTECAL_HOME; {known}"


class RunLacks(TaskError, ValueError):
    """The run that was named did not record what the step needs."""

    run_id: str
    lacking: Sequence[str]
    recorded: Sequence[str]

    def __str__(self) -> str:
        return (
            f"the run {self.run_id} recorded no {' and no '.join(self.lacking)}, only {', '.join(self.recorded)}; name "
            "another with --run, or leave it out to use the newest that has all of it"
        )


class NoJointOutcomes(TaskError, ValueError):
    """A threshold is asked for that the outcome head chooses, of a run without one.

    Args:
        who: the run, or that there is none, as the subject of the sentence.
    """

    who: str

    def __str__(self) -> str:
        verb = "has" if self.who.startswith("no ") else "has no"
        return (
            f"{plain(self.who)} {verb} predictions of an outcome head, by which a threshold is chosen: heads of before "
            "version 0.3 and labels without grades have none; run `routecal calibrate` on graded labels, or name "
            "another run with --run"
        )


class OldIds(TaskError, ValueError):
    """A table of routecal 0.1 that cannot be used beside newer tables."""

    kind: str
    uri: str
    why: str

    def __str__(self) -> str:
        again = "label` on the same file again (stored answers are not paid twice)"
        remedy = again if self.kind == "labels" else "extract` on the same file again"
        return (
            f"the {self.kind} {plain(self.uri)} were written by routecal 0.1, which took texts that differ in case, "
            f"form or space for one query, and {self.why}; run `routecal {remedy}"
        )


class NoOutcomes(TaskError, FileNotFoundError):
    """A folder for the benchmark holds no outcomes file."""

    folder: str
    sentence = (
        "{folder} holds no outcomes; put a Parquet, JSONL or CSV file with the columns query, medium_label and "
        "large_label there"
    )


class UnknownSet(TaskError, KeyError):
    """A benchmark was asked for a set that its folder does not hold."""

    name: str
    folder: str
    known: Sequence[str]

    def __str__(self) -> str:
        known = plain(", ".join(sorted(self.known))) or "none"
        return f"there is no set {self.name!r} in {plain(self.folder)}; choose one of those it holds: {known}"


class OptionMissing(TaskError, ValueError):
    """A step needs something that was neither given nor made by an earlier run."""

    what: str
    remedy: str
    sentence = "no {what}: {remedy}"


class InboxMissing(TaskError, FileNotFoundError):
    """The folder that a night gathers queries from is not there."""

    path: str
    sentence = "there is no folder {path} to gather queries from; create it, or name another with --inbox"


class NightRuns(TaskError):
    """A night of the same home has not ended yet.

    Args:
        run: the name of its run.
        since: when it began.
        entry: of the registry, if it waits for the approval of that; None if it works.
    """

    run: str
    since: str
    entry: int | None = None

    def __str__(self) -> str:
        doing = "still runs" if self.entry is None else f"waits for the approval of entry {self.entry}"
        return (
            f"the night {plain(self.run)}, begun {self.since}, {doing}, and only one may run at a time; nothing was "
            "done, and the next night gathers what this one would have"
        )


class NothingServes(TaskError):
    """The registry names no head.

    Args:
        home: its root.
        absence: see `storage.layout.Home.absence`.
    """

    home: str
    absence: str = ""

    def __str__(self) -> str:
        return self.absence or f"no head was promoted in {self.home} yet; `routecal recalibrate` promotes the first"


class NothingToPromote(TaskError):
    """No decision of the registry waits for a person, or none with that number can be gone back to."""

    what: str
    sentence = "{what}; `routecal heads` lists the entries"
