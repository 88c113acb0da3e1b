"""Flow `ledger`: what was paid."""

from prefect import flow

from routecal.flows.oracle_params import LedgerParams
from routecal.tasks.result_table import Table
from routecal.tasks.spend import spend


@flow(name="ledger")
def ledger(params: LedgerParams) -> Table:
    """Spend by day, model and stage."""
    return spend()


if __name__ == "__main__":
    from routecal.flows.cli import restart

    restart("ledger")
