"""Who serves from now on: decisions of nights and of people, written into the registry."""

from collections.abc import Mapping, Sequence
from typing import Any

from prefect import runtime, task
from prefect.cache_policies import NO_CACHE

from storage import registry
from storage.artifact import Artifact
from storage.layout import Home
from storage.manifest import manifests
from storage.registry import Action, Entry
from tasks.errors import NothingToPromote
from tasks.listing import Table
from tasks.night.known import FLOW, KEY
from tasks.night.story import ENDING, Ending

# Of the flow run that decided, in an entry's lineage.
FLOW_RUN = "flow_run_id"


def last() -> Entry | None:
    """The newest entry."""
    return registry.newest(Home.from_env())


def in_force() -> Entry | None:
    """The entry that put the serving head in its place."""
    past = registry.champions(registry.history(Home.from_env()))
    return past[-1] if past else None


def serving() -> Artifact | None:
    """The calibrated router that serves; None if none was promoted yet."""
    return registry.champion(Home.from_env())


def decided() -> Ending | None:
    """How this flow run's night ends, if it has decided before it was interrupted."""
    own = str(runtime.flow_run.id or "")
    entries = registry.history(Home.from_env())
    entry = next((e for e in reversed(entries) if _is_a_night(e) and own and e.lineage.get(FLOW_RUN) == own), None)
    return None if entry is None else Ending.model_validate(entry.lineage[ENDING])


def untold(key: str) -> Ending | None:
    """How the newest night that decided ends, if it was interrupted before it was recorded.

    Args:
        key: of the nights in question, see `tasks.night.known.key_of`.
    """
    entries = registry.history(Home.from_env())
    entry = next((e for e in reversed(entries) if _is_a_night(e) and e.lineage.get(KEY) == key), None)
    if entry is None or entry.run_id in {m.run_id for m in manifests(Home.from_env(), FLOW) if KEY in m.facts}:
        return None
    return Ending.model_validate(entry.lineage[ENDING])


def _is_a_night(entry: Entry) -> bool:
    """A night decided it; people's decisions repeat the lineage of a night's without being one."""
    return bool(entry.run_id) and ENDING in entry.lineage


@task(name="decide", task_run_name="{action}", cache_policy=NO_CACHE)
def write_decision(
    action: Action,
    candidate: Artifact,
    reasons: Sequence[str],
    *,
    after: Entry | None,
    run_id: str,
    lineage: Mapping[str, Any],
) -> Entry:
    """Write a night's decision: `promoted` makes the candidate the champion, anything else leaves the one that serves.

    Raises:
        RegistryChanged: somebody decided since `after`; nothing was written.
    """
    serving = None if after is None else after.champion
    return registry.append(
        Home.from_env(),
        action,
        champion=candidate if action == "promoted" else serving,
        after=0 if after is None else after.number,
        candidate=candidate,
        reasons=reasons,
        run_id=run_id,
        lineage={**lineage, FLOW_RUN: str(runtime.flow_run.id or "")},
    )


def promote(number: int | None = None) -> Entry:
    """Promote the candidate of an entry, by default of the newest that waits or was refused.

    Raises:
        NothingToPromote: there is none.
    """
    entries = registry.history(Home.from_env())
    open_ = [e for e in entries if e.candidate is not None and e.action in ("waiting", "refused")]
    chosen = [e for e in open_ if number in (None, e.number)]
    if not chosen:
        what = (
            "no candidate waits" if number is None else f"entry {number} holds no candidate that waits or was refused"
        )
        raise NothingToPromote(what)
    entry = chosen[-1]
    return registry.append(
        Home.from_env(),
        "promoted",
        champion=entry.candidate,
        candidate=entry.candidate,
        after=entries[-1].number,
        reasons=[f"promoted by hand; entry {entry.number} said: {'; '.join(entry.reasons)}"],
        lineage=entry.lineage,
    )


def roll_back(number: int | None = None) -> Entry:
    """Put back the champion before the one that serves, or the one that entry `number` put in force.

    Raises:
        NothingToPromote: there was none.
        ArtifactMissing: its folder is gone.
    """
    entries = registry.history(Home.from_env())
    past = registry.champions(entries)
    if number is None:
        # Twice in a row goes back twice: what was rolled back from is no place to return to.
        serving = entries[-1].champion if entries else None
        firsts = list(dict.fromkeys(e.champion for e in past))
        place = firsts.index(serving) if serving in firsts else 0
        target = next((e for e in past if place and e.champion == firsts[place - 1]), None)
    else:
        target = next((e for e in past if e.number == number), None)
    if target is None or target.champion is None:
        what = "no other head served before" if number is None else f"entry {number} put no head in force"
        raise NothingToPromote(what)
    return registry.append(
        Home.from_env(),
        "rolled back",
        champion=target.champion,
        after=entries[-1].number,
        reasons=[f"rolled back by hand to the head of entry {target.number}"],
        lineage=target.lineage,
    )


def heads() -> Table:
    """The registry, newest first, as a table for people."""
    columns = ["entry", "at", "decision", "serves", "candidate", "why"]
    rows = [
        {
            "entry": e.number,
            "at": f"{e.at:%Y-%m-%d %H:%M}",
            "decision": e.action,
            "serves": "–" if e.champion is None else e.champion.sha256[:16],
            "candidate": "–" if e.candidate is None else e.candidate.sha256[:16],
            "why": "; ".join(e.reasons),
        }
        for e in reversed(registry.history(Home.from_env()))
    ]
    return Table("Decisions about the serving head, newest first", columns, rows)
