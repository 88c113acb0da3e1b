"""The registry in a night: who serves, candidates that wait for a person, and the decisions that are written."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from prefect import runtime, task
from prefect.cache_policies import NO_CACHE

from routecal.storage import head_registry
from routecal.storage.artifact import Artifact
from routecal.storage.errors import RegistryChanged
from routecal.storage.head_registry import Action, RegistryEntry
from routecal.storage.layout import Home
from routecal.storage.manifest import manifests
from routecal.tasks.night.manual_decisions import decided_since, is_same
from routecal.tasks.night.night_result import ENDING, FLOW, KEY, Ending

# In an entry's lineage: its night goes on when a person has answered; and the share that the candidate escalates.
ASKS, ESCALATED = "asks", "escalated"
# Of the flow run that decided.
FLOW_RUN = "flow_run_id"


def in_force() -> RegistryEntry | None:
    """The entry that put the serving head in its place."""
    past = head_registry.champions(head_registry.history(Home.from_env()))
    return past[-1] if past else None


def decided() -> Ending | None:
    """How this flow run's night ends, if it has decided before it was interrupted."""
    own = str(runtime.flow_run.id or "")
    entries = head_registry.history(Home.from_env())
    entry = next((e for e in reversed(entries) if is_a_night(e) and own and e.lineage.get(FLOW_RUN) == own), None)
    return None if entry is None else ending_of(entry, entries)


def unpublished(key: str) -> Ending | None:
    """How the newest night that decided ends, if it was interrupted before it was recorded.

    Args:
        key: of the nights in question, see `tasks.night.label_history.key_of`.
    """
    entries = head_registry.history(Home.from_env())
    entry = next((e for e in reversed(entries) if is_a_night(e) and e.lineage.get(KEY) == key), None)
    if entry is None or entry.run_id in {m.run_id for m in manifests(Home.from_env(), FLOW) if KEY in m.facts}:
        return None
    return ending_of(entry, entries)


@task(name="decide", task_run_name="decide: {action}", cache_policy=NO_CACHE)
def write_decision(
    action: Action,
    candidate: Artifact,
    reasons: Sequence[str],
    *,
    after: RegistryEntry | None,
    run_id: str,
    lineage: Mapping[str, Any],
) -> RegistryEntry:
    """Write a night's decision: `promoted` makes the candidate the champion, anything else leaves the one that serves.

    Raises:
        RegistryChanged: somebody decided since `after`; nothing was written.
    """
    serving = None if after is None else after.champion
    return head_registry.append_entry(
        Home.from_env(),
        action,
        champion=candidate if action == "promoted" else serving,
        after=0 if after is None else after.number,
        candidate=candidate,
        reasons=reasons,
        run_id=run_id,
        lineage={**lineage, FLOW_RUN: str(runtime.flow_run.id or "")},
    )


def raise_alarm(complaints: Sequence[str], *, after: RegistryEntry | None, run_id: str) -> RegistryEntry:
    """Enter what a night found against the head that serves, see `storage.head_registry.enter_alarm`.

    It is entered as soon as it is found: a night may end without a decision, or fail.
    """
    assert after is not None  # which put the head there that is complained of
    return head_registry.enter_alarm(Home.from_env(), complaints, after=after, run_id=run_id)


def entry_asked_by(flow_run: str) -> RegistryEntry | None:
    """The entry that a flow run has written to ask a person about; None once it has written an answer, or if none.

    Args:
        flow_run: its id.
    """
    entries = head_registry.history(Home.from_env())
    own = [e for e in entries if flow_run and e.lineage.get(FLOW_RUN) == flow_run and is_a_night(e)]
    return own[-1] if own and own[-1].action == "waiting" and own[-1].lineage.get(ASKS) else None


def is_decided(entry: RegistryEntry) -> bool:
    """Whether somebody has decided about the candidate since, or put another head in force."""
    return decided_since(entry, head_registry.history(Home.from_env())) is not None


def record_answer(entry: RegistryEntry, action: Action, answer: str) -> bool:
    """Write down what a person answered; False, and nothing is written, where something was decided before that.

    Args:
        entry: whose candidate waits.
        action: promoted or refused.
        answer: who answered what; the first of the reasons.
    """
    while True:
        entries = head_registry.history(Home.from_env())
        if decided_since(entry, entries) is not None:
            return False
        ending = _answered(entry, action, answer)
        with suppress(RegistryChanged):
            head_registry.append_entry(
                Home.from_env(),
                action,
                champion=entry.candidate if action == "promoted" else entry.champion,
                after=entries[-1].number,
                candidate=entry.candidate,
                reasons=ending.night.reasons,
                run_id=entry.run_id,
                lineage=entry.lineage | {ENDING: ending.model_dump(mode="json")},
            )
            return True


def ending_of(entry: RegistryEntry, entries: Sequence[RegistryEntry]) -> Ending:
    """How the night of an entry ends, with what was decided about its candidate since.

    Args:
        entry: that a night has written.
        entries: the whole registry, oldest first.
    """
    since = decided_since(entry, entries) if entry.action == "waiting" else None
    if since is None:
        return Ending.model_validate(entry.lineage[ENDING])
    if not is_same(since.candidate, entry.candidate):
        answer = (
            f"entry {since.number} has put another head in force since, so this candidate waits no more; "
            f"`routecal promote --entry {entry.number}` promotes it all the same"
        )
        serving = "" if since.champion is None else since.champion.sha256[:16]
        return _answered(entry, "overtaken", answer, serving)
    answer = since.reasons[0]
    if not since.run_id and since.action == "promoted":  # by hand, which repeats the reasons of the night
        answer = f"promoted by hand while the night waited (entry {since.number})"
    return _answered(entry, since.action, answer)


def _answered(entry: RegistryEntry, action: str, answer: str, serving: str | None = None) -> Ending:
    """The ending that the entry was written with, with another action and its reason."""
    ending = Ending.model_validate(entry.lineage[ENDING])
    changed: dict[str, Any] = {"action": action, "reasons": (answer, *ending.night.reasons)}
    if action in ("promoted", "overtaken"):  # an alarm was against the head before
        changed["alarm"] = ""
    if action == "promoted" and entry.candidate is not None:
        changed |= {"serving": entry.candidate.sha256[:16], "escalated": entry.lineage.get(ESCALATED)}
    if serving is not None:
        changed["serving"] = serving
    return ending.model_copy(update={"night": ending.night.model_copy(update=changed)})


def is_a_night(entry: RegistryEntry) -> bool:
    """A night decided it; people's decisions repeat the lineage of a night's without being one."""
    return bool(entry.run_id) and ENDING in entry.lineage
