"""Flow `ledger`: what was paid."""

from prefect import flow

from flows.oracle_params import LedgerParams
from tasks.listing import Table
from tasks.spend import spend


@flow(name="ledger")
def ledger(params: LedgerParams) -> Table:
    """Spend by day, model and stage."""
    return spend()


if __name__ == "__main__":
    from flows.cli import restart

    restart("ledger")
