"""What people do with the registry: look at it, promote or decline a candidate that waits, put an earlier head back."""

from prefect import flow
from routecal.flows.night_params import DeclineParams, HeadsParams, PromoteParams, RollbackParams
from routecal.storage.registry import Entry
from routecal.tasks.listing import Table
from routecal.tasks.night import decision


@flow(name="heads")
def heads(params: HeadsParams) -> Table:
    """Every decision about the serving head, newest first."""
    return decision.heads()


@flow(name="promote", flow_run_name="promote {params.named}")
def promote(params: PromoteParams) -> Entry:
    """Promote a candidate by hand; a night that waits for the answer goes on with it."""
    return decision.promote(params.entry, force=params.force)


@flow(name="decline", flow_run_name="decline {params.named}")
def decline(params: DeclineParams) -> Entry:
    """Refuse a candidate that waits by hand; a night that waits for the answer ends with it."""
    return decision.decline(params.entry, note=params.note)


@flow(name="rollback", flow_run_name="roll back to {params.named}")
def rollback(params: RollbackParams) -> Entry:
    """Put an earlier head back."""
    return decision.roll_back(params.entry)


if __name__ == "__main__":
    from routecal.flows.cli import restart

    restart("heads")
