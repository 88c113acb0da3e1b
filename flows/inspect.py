"""`stats` and `export`: quick looks at what runs stored. Not flows: they change nothing and take a second."""

from flows.params import ExportParams, StatsParams
from tasks import stats as tables


def stats(params: StatsParams) -> list[tables.Table]:
    """Dataset balance and reliability of the newest artifacts."""
    return tables.stats(params.method)


def export(params: ExportParams) -> int:
    """Write the newest examples as the method's JSONL."""
    return tables.export(params.output_file)
