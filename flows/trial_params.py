"""The parameters of `benchmark` and `ablate`: recorded outcomes under one protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from routecal.flows.oracle_params import Params

if TYPE_CHECKING:
    from routecal.tasks.extract import Reading


class TrialParams(Params):
    """Recorded outcomes under the benchmark's protocol: which sets, how many labels, how often."""

    data: str = Field(
        description="folder of outcomes files: Parquet, JSONL or CSV with query, medium_label, large_label"
    )
    sets: list[str] = Field(default=[], description="only these files, named without folder and ending (default: all)")
    rows: int | None = Field(
        default=None, ge=200, description="use this many rows of each file, drawn by a hash of their text"
    )
    labels: int = Field(
        default=1000, ge=60, description="labelled rows per set and seed, at most: train, calibration, validation"
    )
    seeds: int = Field(default=5, ge=1, le=100, description="how often labels are drawn and everything is trained anew")
    routers: list[Literal["regularised", "overconfident"]] = Field(
        default=["regularised", "overconfident"],
        min_length=1,
        description="routing heads on the base model: cross-validated, or fitted until sure of its training queries",
    )
    base_model: str | None = Field(
        default=None, description="folder of the causal-LM checkpoint to read queries with (default: Gemma-3-270M)"
    )
    layers: list[int] = Field(
        default=[-1, -4, -7, -10], min_length=1, description="layers to keep; 1 is the first, -1 the last"
    )
    poolings: list[Literal["last", "mean"]] = Field(default=["last", "mean"], min_length=1, description="of each layer")
    block: Literal["last", "chosen"] = Field(
        default="last",
        description="what all methods read: the last layer at the last token, or layer and pooling chosen by "
        "cross-validation on the labelled rows",
    )
    shard_size: int = Field(
        default=250, ge=1, le=5000, description="queries per extraction task: what a crash can cost"
    )
    output_dir: str | None = Field(default=None, description="also copy the tables and plots to this folder")

    @property
    def reading(self) -> Reading:
        """How the base model reads a query."""
        from routecal.tasks.extract import Reading

        return Reading(layers=tuple(self.layers), poolings=tuple(self.poolings))


class BenchmarkParams(TrialParams):
    """Every method on recorded outcomes, with an honest split, intervals over queries and seeds, and two routers.

    A hash of each query's text makes 40% of the rows train the router, 30% be labelled (at most --labels of them) and
    30% test; --seeds says how often labels are drawn and everything is trained anew. The test part is always the same.
    Finished tasks are kept: repeat the command after an interruption, or with more seeds.
    """

    shifted: bool = Field(default=True, description="also test every method on the sets that share no question")


class AblateParams(TrialParams):
    """The default head with one choice changed at a time: what RL, its reward, its terms and each part are worth.

    SFT only against SFT + RL, rewards, estimators, calibration and ranking terms, residual, recalibration, and the
    pairs of them that answer a question together; the same labels, epochs and early stopping for all. Improper rewards
    run here on purpose. Differences to the default come with paired 95% intervals over test queries and training seeds,
    as a Parquet table, a forest plot (PNG, PDF), Markdown and LaTeX (booktabs).
    """
