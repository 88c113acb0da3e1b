"""Who serves from now on: what nights read of the registry, and the decisions that they write into it."""

from collections.abc import Mapping, Sequence
from typing import Any

from prefect import runtime, task
from prefect.cache_policies import NO_CACHE

from routecal.storage import head_registry
from routecal.storage.artifact import Artifact
from routecal.storage.head_registry import Action, RegistryEntry
from routecal.storage.layout import Home
from routecal.storage.manifest import manifests
from routecal.tasks.night.night_result import FLOW, KEY, Ending
from routecal.tasks.night.pending_candidates import FLOW_RUN, ending_of, is_a_night


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
