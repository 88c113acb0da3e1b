"""What the command line refuses before a flow runs."""

from collections.abc import Sequence

from routecal.plain_text import plain
from routecal.tasks.errors import TaskError


class CommandUnknown(TaskError, ValueError):
    """The first word of a command line names no command."""

    name: str
    near: str | None
    known: Sequence[str]

    def __str__(self) -> str:
        hint = f"did you mean {self.near}? The commands are" if self.near else "choose one of"
        return f"{plain(repr(self.name))} is not a command; {hint} {', '.join(self.known)}"


class OptionUnknown(TaskError, ValueError):
    """An option that a command does not have."""

    option: str
    command: str
    near: str | None

    def __str__(self) -> str:
        hint = f"did you mean {self.near}?" if self.near else f"`routecal {self.command} --help` lists those it has"
        return f"{plain(self.option)} is not an option of {self.command}; {hint}"


class WordUnexpected(TaskError, ValueError):
    """A word that belongs to no option."""

    word: str
    command: str
    sentence = (
        "{word!r} belongs to no option; write --NAME VALUE, with quotes around spaces: `routecal {command} --help` "
        "lists the names"
    )


class FlagMisplaced(TaskError, ValueError):
    """A flag of the whole program stands among the options of a command."""

    flag: str
    command: str
    sentence = "{flag} must come before the command; write `routecal {flag} {command} …`"


class OptionRepeated(TaskError, ValueError):
    """An option that takes one value is given twice."""

    option: str
    sentence = "{option} is given twice, and takes one value; give it once"


class WrongValues(TaskError, ValueError):
    """Options whose values are not allowed.

    Args:
        faults: (option, its value as it was given or None if there is none, what is allowed) of each.
    """

    faults: Sequence[tuple[str, str | None, str]]

    def __str__(self) -> str:
        return "; ".join(
            f"{option} is missing: give {allowed}"
            if given is None
            else f"{option} is {plain(repr(given), at_most=200)}: give {allowed}"
            for option, given, allowed in self.faults
        )


class OptionsConflict(TaskError, ValueError):
    """Options that contradict each other, or of which one would be ignored without a word."""

    what: str
    remedy: str
    sentence = "{what}; {remedy}"


class DemoIsACommand(TaskError, ValueError):
    """A path named `demo` that is not there: the demo's inputs are no values of other commands' options.

    Args:
        kind: file or folder, what is missing.
        command: the one that runs on the demo's inputs.
    """

    kind: str
    command: str
    sentence = (
        "there is no {kind} demo; name your own, or run `routecal {command}`, which brings its queries, router and "
        "oracle"
    )


class OtherRouterServes(TaskError, ValueError):
    """A night on the demo's router, in a home whose registry serves another router.

    Args:
        home: whose registry it is.
        entry: number of the decision in force.
    """

    home: str
    entry: int
    sentence = (
        "the registry of {home} serves a head of another router than the demo's (entry {entry} of `routecal heads`), "
        "and a night of the demo could replace it; set ROUTECAL_HOME to another folder"
    )


class PlaceUnusable(TaskError, ValueError):
    """A file or folder that a run would write cannot be written."""

    what: str
    path: str
    reason: str
    remedy: str
    sentence = "{what} {path} cannot be written ({reason}); {remedy}"


class NotAFile(TaskError, ValueError):
    """A folder, or a device, where a file is wanted."""

    option: str
    path: str
    sentence = "{option} {path} is not a file; name a file in it, or another"


class FolderMissing(TaskError, ValueError):
    """A folder to read from that is not there, or is a file."""

    option: str
    path: str
    is_file: bool

    def __str__(self) -> str:
        if self.is_file:
            return f"{self.option} {plain(self.path)} is a file; name the folder that holds it"
        return f"there is no folder {plain(self.path)} ({self.option}); check the spelling and the folder you run from"


class ServerUnreachable(TaskError, ConnectionError):
    """No Prefect server answers at the address that was given.

    Args:
        url: its address, without user and password.
        reason: what came instead of an answer.
        remedy: what else to try, as a clause.
    """

    url: str
    reason: str
    remedy: str
    sentence = "no Prefect server can be used at {url}: {reason}; {remedy}"


class ServerNotStarted(TaskError, RuntimeError):
    """Prefect's temporary server did not start."""

    reason: str
    log: str
    sentence = (
        "Prefect's temporary server did not start ({reason}); read its log {log}, and set PREFECT_HOME to another "
        "folder if its state is the cause"
    )


class PrefectSettings(TaskError, ValueError):
    """Prefect does not load with the variables and profiles that it found."""

    reason: str
    sentence = "Prefect refuses its settings: {reason}; correct the PREFECT_ variable or the profile"


class ClusterUnusable(TaskError, ConnectionError):
    """A cluster of workers that cannot be reached, or whose workers cannot do the work.

    Args:
        engine: ray or dask.
        address: of the cluster, or what else names it.
        reason: a clause.
        remedy: what to do, as a clause.
    """

    engine: str
    address: str
    reason: str
    remedy: str
    sentence = "the {engine} cluster {address} cannot be used: {reason}; {remedy}"


class WorkersLost(TaskError, RuntimeError):
    """An engine gave up on a task, as its worker died too often."""

    engine: str
    reason: str
    sentence = (
        "workers of {engine} died again and again over one task ({reason}); look whether they have too little memory, "
        "and repeat the command: what is finished is kept"
    )
