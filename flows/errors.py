"""What the command line refuses before a flow runs; the rules are those of `calib.errors`."""

from collections.abc import Iterable

from routecal.storage.plain_text import plain
from routecal.tasks.errors import TaskError


class CommandUnknown(TaskError, ValueError):
    """The first word of a command line names no command."""

    def __init__(self, name: str, near: str | None, known: Iterable[str]) -> None:
        known = tuple(known)
        super().__init__(name, near, known)
        self.name, self.near, self.known = name, near, known

    def __str__(self) -> str:
        hint = f"did you mean {self.near}? The commands are" if self.near else "choose one of"
        return f"{plain(repr(self.name))} is not a command; {hint} {', '.join(self.known)}"


class OptionUnknown(TaskError, ValueError):
    """An option that a command does not have."""

    def __init__(self, option: str, command: str, near: str | None) -> None:
        super().__init__(option, command, near)
        self.option, self.command, self.near = option, command, near

    def __str__(self) -> str:
        hint = f"did you mean {self.near}?" if self.near else f"`routecal {self.command} --help` lists those it has"
        return f"{plain(self.option)} is not an option of {self.command}; {hint}"


class WordUnexpected(TaskError, ValueError):
    """A word that belongs to no option."""

    def __init__(self, word: str, command: str) -> None:
        super().__init__(word, command)
        self.word, self.command = word, command

    def __str__(self) -> str:
        return (
            f"{plain(repr(self.word))} belongs to no option; write --NAME VALUE, with quotes around spaces: "
            f"`routecal {self.command} --help` lists the names"
        )


class FlagMisplaced(TaskError, ValueError):
    """A flag of the whole program stands among the options of a command."""

    def __init__(self, flag: str, command: str) -> None:
        super().__init__(flag, command)
        self.flag, self.command = flag, command

    def __str__(self) -> str:
        return f"{self.flag} stands before the command; write `routecal {self.flag} {self.command} …`"


class OptionRepeated(TaskError, ValueError):
    """An option that takes one value is given twice."""

    def __init__(self, option: str) -> None:
        super().__init__(option)
        self.option = option

    def __str__(self) -> str:
        return f"{self.option} is given twice, and takes one value; give it once"


class WrongValues(TaskError, ValueError):
    """Options whose values do not serve.

    Args:
        faults: (option, its value as it was given or None if there is none, what is allowed) of each.
    """

    def __init__(self, faults: Iterable[tuple[str, str | None, str]]) -> None:
        faults = tuple(faults)
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        return "; ".join(
            f"{option} is missing: give {allowed}"
            if given is None
            else f"{option} is {plain(repr(given), at_most=200)}: give {allowed}"
            for option, given, allowed in self.faults
        )


class OptionsConflict(TaskError, ValueError):
    """Options that contradict each other, or of which one would be ignored without a word."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.what, self.remedy = what, remedy

    def __str__(self) -> str:
        return f"{plain(self.what)}; {self.remedy}"


class DemoIsACommand(TaskError, ValueError):
    """A path named `demo` that is not there: the demo's inputs are no values of other commands' options.

    Args:
        kind: file or folder, what is missing.
        command: the one that runs on the demo's inputs.
    """

    def __init__(self, kind: str, command: str) -> None:
        super().__init__(kind, command)
        self.kind, self.command = kind, command

    def __str__(self) -> str:
        return (
            f"there is no {self.kind} demo; name your own, or run `routecal {self.command}`, which brings its queries, "
            "router and oracle"
        )


class OtherRouterServes(TaskError, ValueError):
    """A night on the demo's router, in a home whose registry serves another router.

    Args:
        home: whose registry it is.
        entry: number of the decision in force.
    """

    def __init__(self, home: str, entry: int) -> None:
        super().__init__(home, entry)
        self.home, self.entry = home, entry

    def __str__(self) -> str:
        return (
            f"the registry of {plain(self.home)} serves a head of another router than the demo's (entry {self.entry} "
            "of `routecal heads`), and a night of the demo could replace it; set ROUTECAL_HOME to another folder"
        )


class PlaceUnusable(TaskError, ValueError):
    """A file or folder that a run would write cannot be written."""

    def __init__(self, what: str, path: str, reason: str, remedy: str) -> None:
        super().__init__(what, path, reason, remedy)
        self.what, self.path, self.reason, self.remedy = what, path, reason, remedy

    def __str__(self) -> str:
        return f"{self.what} {plain(self.path)} cannot be written ({plain(self.reason)}); {self.remedy}"


class NotAFile(TaskError, ValueError):
    """A folder, or a device, where a file is wanted."""

    def __init__(self, option: str, path: str) -> None:
        super().__init__(option, path)
        self.option, self.path = option, path

    def __str__(self) -> str:
        return f"{self.option} {plain(self.path)} is not a file; name a file in it, or another"


class FolderMissing(TaskError, ValueError):
    """A folder to read from that is not there, or is a file."""

    def __init__(self, option: str, path: str, is_file: bool) -> None:
        super().__init__(option, path, is_file)
        self.option, self.path, self.is_file = option, path, is_file

    def __str__(self) -> str:
        if self.is_file:
            return f"{self.option} {plain(self.path)} is a file; name the folder that holds it"
        return f"there is no folder {plain(self.path)} ({self.option}); check the spelling and the folder you run from"


class ServerUnreachable(TaskError, ConnectionError):
    """No Prefect server answers where one is said to be.

    Args:
        url: its address, without user and password.
        reason: what came instead of an answer.
        remedy: what else to try, as a clause.
    """

    def __init__(self, url: str, reason: str, remedy: str) -> None:
        super().__init__(url, reason, remedy)
        self.url, self.reason, self.remedy = url, reason, remedy

    def __str__(self) -> str:
        return f"no Prefect server can be used at {plain(self.url)}: {plain(self.reason)}; {self.remedy}"


class ServerNotStarted(TaskError, RuntimeError):
    """Prefect's temporary server did not start."""

    def __init__(self, reason: str, log: str) -> None:
        super().__init__(reason, log)
        self.reason, self.log = reason, log

    def __str__(self) -> str:
        return (
            f"Prefect's temporary server did not start ({plain(self.reason)}); what it said is in {plain(self.log)}, "
            "and PREFECT_HOME names another folder for its state"
        )


class PrefectSettings(TaskError, ValueError):
    """Prefect does not load with the variables and profiles that it found."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"Prefect refuses its settings: {plain(self.reason)}; correct the PREFECT_ variable or the profile"
