"""Flow `stats`: dataset balance and reliability of one run."""

from prefect import flow

from routecal.flows.params import StatsParams
from routecal.tasks import stats as tables


@flow(name="stats")
def stats(params: StatsParams) -> list[tables.Table]:
    """Every table there are artifacts for."""
    return tables.stats(params.method, params.run)


if __name__ == "__main__":
    from routecal.flows.cli import restart

    restart("stats")
