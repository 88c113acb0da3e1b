"""Flow `export`: the newest examples as the method's JSONL."""

from prefect import flow

from flows.checks import check
from flows.params import ExportParams
from tasks.stats import export as write


@flow(name="export", flow_run_name="export to {params.output_file}")
def export(params: ExportParams) -> int:
    """Write the newest examples and return how many."""
    check(params)
    return write(params.output_file)


if __name__ == "__main__":
    from flows.cli import restart

    restart("export")
