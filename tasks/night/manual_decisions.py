"""What people do with the registry: look at it, promote or decline a candidate, put an earlier head back.

Apart from the decisions of nights, which are tasks: a command that decides by hand does without Prefect.
"""

from collections.abc import Sequence

from routecal.storage import head_registry
from routecal.storage.artifact import Artifact
from routecal.storage.head_registry import RegistryEntry
from routecal.storage.layout import Home
from routecal.tasks.errors import NothingToPromote
from routecal.tasks.result_table import Table

# Actions that leave a candidate which a person can promote.
OPEN = ("waiting", "refused")


def promote(entry: int | None = None, *, force: bool = False) -> RegistryEntry:
    """Promote the newest candidate that waits, or the one of an entry.

    Args:
        entry: its number; None: the newest whose candidate waits.
        force: also one that was refused.

    Raises:
        NothingToPromote: there is none, or it was refused and `force` is not set.
        RegistryChanged: somebody decided at the same moment; nothing was written.
    """
    if force and entry is None:
        raise NothingToPromote("--force overrules the refusal of one entry, so name it with --entry")
    entries = head_registry.history(Home.from_env())
    chosen = _newest_waiting(entries) if entry is None else _numbered(entries, entry)
    if chosen.candidate == entries[-1].champion:
        raise NothingToPromote(f"the candidate of entry {chosen.number} serves already")
    if (served := _served(chosen, entries)) is not None:
        raise NothingToPromote(
            f"the candidate of entry {chosen.number} served from entry {served} on and was taken out of service since; "
            f"`routecal rollback --entry {served}` puts it in force again"
        )
    refused = _refused(chosen, entries)
    if refused is not None and not force:
        why = "; ".join(refused.reasons)
        raise NothingToPromote(
            f"the candidate of entry {chosen.number} was refused ({why}); `routecal promote --entry {chosen.number} "
            "--force` promotes it all the same"
        )
    return head_registry.append_entry(
        Home.from_env(),
        "promoted",
        champion=chosen.candidate,
        candidate=chosen.candidate,
        after=entries[-1].number,
        reasons=[
            f"promoted by hand; entry {chosen.number} said: {'; '.join((refused or chosen).reasons)}",
            *_overtaken(entries, by=chosen.candidate),
        ],
        lineage=chosen.lineage,
    )


def decline(entry: int | None = None, *, note: str = "") -> RegistryEntry:
    """Refuse the newest candidate that waits, or the one of an entry that waits; the head that serves serves on.

    Args:
        entry: its number; None: the newest whose candidate waits.
        note: why.

    Raises:
        NothingToPromote: no candidate waits, or that of the entry does not.
        RegistryChanged: somebody decided at the same moment; nothing was written.
    """
    entries = head_registry.history(Home.from_env())
    chosen = _newest_waiting(entries) if entry is None else _numbered(entries, entry)
    if chosen not in waiting(entries):
        raise NothingToPromote(f"the candidate of entry {chosen.number} does not wait any more")
    return head_registry.append_entry(
        Home.from_env(),
        "refused",
        champion=entries[-1].champion,
        candidate=chosen.candidate,
        after=entries[-1].number,
        reasons=["declined by hand" + (f": {note}" if note else ""), *chosen.reasons],
        lineage=chosen.lineage,
    )


def _overtaken(entries: Sequence[RegistryEntry], *, by: Artifact | None) -> list[str]:
    """Of the candidates that wait: that they do no more, once this other head is in force."""
    return [f"the candidate of entry {e.number} waits no more" for e in waiting(entries) if e.candidate != by]


def _served(entry: RegistryEntry, entries: Sequence[RegistryEntry]) -> int | None:
    """The last entry that put this one's candidate in force; None if none did."""
    return next((e.number for e in reversed(head_registry.champions(entries)) if e.champion == entry.candidate), None)


def _newest_waiting(entries: Sequence[RegistryEntry]) -> RegistryEntry:
    if candidates := waiting(entries):
        return candidates[-1]
    passed = [e for e in entries if e.action in OPEN and _served(e, entries) is None]
    if not passed:
        raise NothingToPromote("no candidate waits")
    number, action = passed[-1].number, passed[-1].action
    if action == "waiting":
        since = decided_since(passed[-1], entries)
        assert since is not None
        raise NothingToPromote(
            f"no candidate waits: entry {number} did until entry {since.number} put another head in force; `routecal "
            f"promote --entry {number}` promotes it all the same"
        )
    raise NothingToPromote(
        f"no candidate waits; entry {number} was refused, and `routecal promote --entry {number} --force` promotes it "
        "all the same"
    )


def _numbered(entries: Sequence[RegistryEntry], number: int) -> RegistryEntry:
    for entry in entries:
        if entry.number == number and entry.candidate is not None and entry.action in OPEN:
            return entry
    raise NothingToPromote(f"entry {number} holds no candidate that waits or was refused")


def _refused(entry: RegistryEntry, entries: Sequence[RegistryEntry]) -> RegistryEntry | None:
    """The entry that refused the candidate last: this one, or the answer of a person to it; None if none did."""
    since = decided_since(entry, entries) if entry.action == "waiting" else entry
    return since if since is not None and since.action == "refused" else None


def roll_back(entry: int | None = None) -> RegistryEntry:
    """Put back the champion before the one that serves, or the one that `entry` put in force.

    Raises:
        NothingToPromote: there was none.
        ArtifactMissing: its folder is gone.
    """
    entries = head_registry.history(Home.from_env())
    past = head_registry.champions(entries)
    if entry is None:
        # Twice in a row goes back twice: what was rolled back from is no place to return to.
        serving = entries[-1].champion if entries else None
        firsts = list(dict.fromkeys(e.champion for e in past))
        place = firsts.index(serving) if serving in firsts else 0
        target = next((e for e in past if place and e.champion == firsts[place - 1]), None)
    else:
        target = next((e for e in past if e.number == entry), None)
    if target is None or target.champion is None:
        raise NothingToPromote(f"entry {entry} put no head in force" if entry else _nothing_before(past))
    if target.champion == entries[-1].champion:
        raise NothingToPromote(f"the head of entry {target.number} serves already")
    return head_registry.append_entry(
        Home.from_env(),
        "rolled back",
        champion=target.champion,
        after=entries[-1].number,
        reasons=[f"rolled back by hand to the head of entry {target.number}", *_overtaken(entries, by=target.champion)],
        lineage=target.lineage,
    )


def _decision(entry: RegistryEntry, entries: Sequence[RegistryEntry]) -> str:
    """What an entry says; of one that waited, until which entry."""
    since = decided_since(entry, entries) if entry.action == "waiting" else None
    return entry.action if since is None else f"waited until {since.number}"


def _promise(entry: RegistryEntry) -> list[str]:
    """What the candidate of an entry promises, and the alarm that its night raised against the serving head."""
    found = {"promise": entry.lineage.get(head_registry.PROMISE), "alarm": entry.lineage.get(head_registry.ALARM)}
    return [f"{name}: {said}" for name, said in found.items() if said]


def _nothing_before(past: Sequence[RegistryEntry]) -> str:
    """Why there is no head to go back to, and which heads a person can still put in force."""
    others = [e for e in past if e.champion != past[-1].champion]
    if not others:
        return "no other head has served"
    number = others[-1].number
    return (
        f"the head that serves was the first, so none served before it; `routecal rollback --entry {number}` puts "
        f"that of entry {number} in force again"
    )


def heads() -> Table:
    """The registry, newest first, as a table for people."""
    title = "Decisions about the serving head, newest first"
    entries = head_registry.history(Home.from_env())
    if not entries:
        home = Home.from_env()
        nothing = (
            home.absence or f"nothing was decided in {home.root} yet; `routecal recalibrate` promotes the first head"
        )
        return Table(title, [""], [{"": nothing}])
    columns = ["entry", "at", "decision", "serves", "candidate", "why"]
    rows = [
        {
            "entry": e.number,
            "at": f"{e.at:%Y-%m-%d %H:%M}",
            "decision": _decision(e, entries),
            "serves": "–" if e.champion is None else e.champion.sha256[:16],
            "candidate": "–" if e.candidate is None else e.candidate.sha256[:16],
            "why": "; ".join([*_promise(e), *e.reasons]),
        }
        for e in reversed(entries)
    ]
    return Table(title, columns, rows)


def decided_since(entry: RegistryEntry, entries: Sequence[RegistryEntry]) -> RegistryEntry | None:
    """The first later entry that decides about the candidate of this one, or puts another head in force; None if none.

    Args:
        entry: whose candidate waits.
        entries: the whole registry, oldest first.
    """
    following = entries[entry.number :]
    return next((e for e in following if is_same(e.candidate, entry.candidate) or not _serves_on(entry, e)), None)


def waiting(entries: Sequence[RegistryEntry]) -> list[RegistryEntry]:
    """The entries whose candidates a person can still promote without overruling anybody, oldest first.

    Args:
        entries: the whole registry, oldest first.
    """
    return [e for e in entries if e.action == "waiting" and decided_since(e, entries) is None]


def _serves_on(before: RegistryEntry, after: RegistryEntry) -> bool:
    if before.champion is None:
        return after.champion is None
    return is_same(before.champion, after.champion)


def is_same(one: Artifact | None, other: Artifact | None) -> bool:
    """Whether both are there and have the same content."""
    return one is not None and other is not None and one.sha256 == other.sha256
