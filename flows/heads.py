"""What people do with the registry: look at it, promote or decline a candidate that waits, put an earlier head back."""

from prefect import flow

from routecal.flows.night_params import DeclineParams, HeadsParams, PromoteParams, RollbackParams
from routecal.storage.head_registry import Entry
from routecal.tasks.night import head_decisions
from routecal.tasks.result_table import Table


@flow(name="heads")
def heads(params: HeadsParams) -> Table:
    """Every decision about the serving head, newest first."""
    return head_decisions.heads()


@flow(name="promote", flow_run_name="promote {params.named}")
def promote(params: PromoteParams) -> Entry:
    """Promote a candidate by hand; a night that waits for the answer goes on with it."""
    return head_decisions.promote(params.entry, force=params.force)


@flow(name="decline", flow_run_name="decline {params.named}")
def decline(params: DeclineParams) -> Entry:
    """Refuse a candidate that waits by hand; a night that waits for the answer ends with it."""
    return head_decisions.decline(params.entry, note=params.note)


@flow(name="rollback", flow_run_name="roll back to {params.named}")
def rollback(params: RollbackParams) -> Entry:
    """Put an earlier head back."""
    return head_decisions.roll_back(params.entry)


if __name__ == "__main__":
    from routecal.flows.cli import restart

    restart("heads")
