"""Flow `export`: the examples of one run as the method's JSONL."""

from prefect import flow

from routecal.flows.param_checks import check
from routecal.flows.params import ExportParams
from routecal.tasks.stats import Exported
from routecal.tasks.stats import export as write


@flow(name="export", flow_run_name="export to {params.output_file}")
def export(params: ExportParams) -> Exported:
    """Write the examples of the newest run that has some, or of the one named."""
    check(params)
    return write(params.output_file, run_id=params.run, held_out=params.held_out)


if __name__ == "__main__":
    from routecal.flows.cli import restart

    restart("export")
