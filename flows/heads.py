"""Flows `promote`, `decline` and `rollback`: decisions of people, for the forms of the Prefect UI."""

from prefect import flow

from routecal.flows.night_params import DeclineParams, PromoteParams, RollbackParams
from routecal.flows.run_messages import completed
from routecal.storage.head_registry import RegistryEntry
from routecal.tasks.night import manual_decisions


@flow(name="promote", flow_run_name="promote {params.named}")
def promote(params: PromoteParams) -> RegistryEntry:
    """Promote a candidate by hand; a night that waits for the answer goes on with it."""
    return _decided(manual_decisions.promote(**dict(params)))


@flow(name="decline", flow_run_name="decline {params.named}")
def decline(params: DeclineParams) -> RegistryEntry:
    """Refuse a candidate that waits by hand; a night that waits for the answer ends with it."""
    return _decided(manual_decisions.decline(**dict(params)))


@flow(name="rollback", flow_run_name="roll back to {params.named}")
def rollback(params: RollbackParams) -> RegistryEntry:
    """Put an earlier head back."""
    return _decided(manual_decisions.roll_back(**dict(params)))


def _decided(entry: RegistryEntry) -> RegistryEntry:
    serving = "nothing" if entry.champion is None else f"head {entry.champion.sha256[:16]}"
    return completed(entry, f"entry {entry.number}: {entry.action}; {serving} serves")
