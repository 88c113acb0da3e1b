"""Flow `benchmark`: every method on recorded outcomes, under one protocol."""

from prefect import flow

from flows.params import BenchmarkParams
from storage.artifact import Artifact
from tasks import runs
from tasks.benchmark.features import extract_sets, headless
from tasks.benchmark.sets import import_sets
from tasks.gemma import convert_gemma
from tasks.router import refer_checkpoint


@flow(name="benchmark", flow_run_name="benchmark {params.data}")
def benchmark(params: BenchmarkParams) -> Artifact:
    """Split, extract once, fit every method under every seed with both routers, compare, write the tables."""
    runs.start("benchmark")
    sets = import_sets(params.data, names=params.sets, rows=params.rows)
    base = convert_gemma() if params.base_model is None else refer_checkpoint(params.base_model, kind="models")
    features = extract_sets(sets, headless(base), params.reading, params.shard_size)
    return features


if __name__ == "__main__":
    from flows.cli import restart

    restart("benchmark")
