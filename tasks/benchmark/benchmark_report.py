"""What a benchmark leaves behind: Parquet tables, and a folder with the page, the numbers as JSON and plots."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, Field, TypeAdapter

from routecal.storage.artifact import Artifact, read_metadata, read_table, write_table
from routecal.storage.atomic import write_files
from routecal.storage.layout import Home
from routecal.storage.schemas import SCHEMAS
from routecal.tasks.benchmark.cell_scores import Scored
from routecal.tasks.benchmark.results import differences, scores


class Compared(BaseModel, frozen=True):
    """What a benchmark or an ablation ends with."""

    run_id: str
    report: str = Field(description="path or URL of the folder with the page, the JSON and the plots")
    page: str = Field(description="the page itself, Markdown")
    artifacts: dict[str, Artifact] = Field(description="predictions, scores and differences")


def write_benchmark(
    run_id: str,
    page: str,
    results: Mapping[str, Any],
    scored: Sequence[Scored],
    cells: Mapping[tuple[str, str], Sequence[Artifact]],
    *,
    references: Sequence[str],
    files: Mapping[str, bytes] = {},
) -> Compared:
    """Store predictions, scores and differences as tables, and the page with everything else beside it.

    Args:
        run_id: names the folder.
        page: Markdown.
        results: models, and lists of them, by name; the JSON.
        scored: whatever was scored.
        cells: predictions by (set, router).
        references: methods that differences are taken to.
        files: further files of the folder by name.
    """
    home = Home.from_env()
    artifacts = {
        "predictions": _joined_cells([cell for own in cells.values() for cell in own], home),
        "scores": _table(scores(scored), "benchmark_scores", home),
        "differences": _table(differences(scored, references=references), "benchmark_differences", home),
    }
    plain = {name: TypeAdapter(type(value)).dump_python(value, mode="json") for name, value in results.items()}
    numbers = {"run_id": run_id, **plain, "artifacts": {name: a.model_dump() for name, a in artifacts.items()}}
    folder = f"{home.folder('reports')}/{run_id}"
    whole = {"page.md": page.encode(), "numbers.json": (json.dumps(numbers, indent=1) + "\n").encode(), **files}
    write_files(folder, whole)
    return Compared(run_id=run_id, report=folder, page=page, artifacts=artifacts)


def _table(rows: Sequence[Mapping[str, object]], kind: str, home: Home) -> Artifact:
    return write_table(pa.Table.from_pylist(list(rows), schema=SCHEMAS[kind]), kind, home=home)


def _joined_cells(cells: Sequence[Artifact], home: Home) -> Artifact:
    """Kind `benchmark_predictions`: the cells, with their metadata as columns."""
    schema = SCHEMAS["benchmark_predictions"]
    tables = []
    for cell in cells:
        table, facts = read_table(cell), read_metadata(cell)
        repeated = {
            "set": pa.repeat(facts["set"], table.num_rows),
            "router": pa.repeat(facts["router"], table.num_rows),
            "seed": pa.repeat(pa.scalar(int(facts["seed"]), pa.int64()), table.num_rows),
        }
        columns = [repeated[name] if name in repeated else table[name] for name in schema.names]
        tables.append(pa.table(columns, schema=schema))
    return write_table(pa.concat_tables(tables), "benchmark_predictions", home=home)
