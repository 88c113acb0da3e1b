"""The parameters of `benchmark` and `ablate`: recorded outcomes under one protocol."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from routecal.calib.settings import Reading
from routecal.flows.engine_params import EngineParams
from routecal.flows.oracle_params import ShardSize


class TrialParams(EngineParams):
    """Recorded outcomes under the benchmark's protocol: which sets, how many labels, how often."""

    EXAMPLE: ClassVar[str] = "--data ./outcomes"
    FIRST: ClassVar[tuple[str, ...]] = (
        "data",
        "sets",
        "rows",
        "labels",
        "divisions",
        "seeds",
        "base_model",
        "output_dir",
        "on",
        "workers",
    )
    GROUP: ClassVar[str] = "protocol"

    data: str = Field(
        description="Folder of outcomes files: Parquet, JSONL or CSV with query, medium_label and large_label."
    )
    sets: list[str] = Field(
        default=[],
        description="Names of the files to use, without folder and ending. Default: all files of the folder.",
    )
    rows: int | None = Field(
        default=None,
        ge=200,
        description="Number of rows to use of each file, drawn by a hash of their text. Default: all.",
    )
    labels: int = Field(
        default=1000,
        ge=60,
        description="Max. number of labelled rows per set and seed, for training, calibration and validation together.",
    )
    divisions: int = Field(
        default=3,
        ge=1,
        le=20,
        description="How often the rows of a set are divided into router, labelled and test rows, so that no single "
        "division decides. The test rows of the first are the test split of every other command.",
    )
    seeds: int = Field(
        default=3,
        ge=1,
        le=100,
        description="How often labels are drawn and everything is trained again in each division. More seeds narrow "
        "the intervals.",
    )
    routers: list[Literal["regularised", "overconfident"]] = Field(
        default=["regularised", "overconfident"],
        min_length=1,
        description="Routing heads on the base model, one or both: cross-validated, or fitted until it is sure of its "
        "training queries.",
    )
    base_model: str | None = Field(
        default=None,
        description="Folder of the checkpoint that queries are read with: a …ForCausalLM model, or a sentence encoder "
        "of BERT's kind; or minilm, with --layers=-1. Default: the demo's Gemma-3-270M.",
    )
    layers: list[int] = Field(
        default=[-1, -4, -7, -10],
        min_length=1,
        description="Layers whose hidden states are extracted: 1 is the first, -1 the last.",
    )
    poolings: list[Literal["last", "mean"]] = Field(
        default=["last", "mean"],
        min_length=1,
        description="How the states of a prompt become one vector, one or both: of its last token, or the mean.",
    )
    block: Literal["last", "chosen"] = Field(
        default="last",
        description="What all methods read: the last layer at the last token, or layer and pooling chosen by "
        "cross-validation on the labelled rows.",
    )
    shard_size: ShardSize = 250
    output_dir: str | None = Field(
        default=None,
        description="Folder that tables and plots are copied to as well. Default: none; they are artifacts.",
    )

    @property
    def reading(self) -> Reading:
        """How the base model reads a query."""
        return Reading(layers=tuple(self.layers), poolings=tuple(self.poolings))


class BenchmarkParams(TrialParams):
    """Compare every method on recorded outcomes: calibration of confidences, and what decisions save.

    A hash of each query's text makes 40% of the rows train the router, 30% be labelled (at most --labels of them) and
    30% test, anew in every division; near-identical queries stay together. Intervals are over queries, divisions and
    seeds. Finished tasks are kept: repeat the command after an interruption, or with more divisions or seeds.
    """

    FIRST: ClassVar[tuple[str, ...]] = (*TrialParams.FIRST, "curve", "shifted")

    curve: list[Annotated[int, Field(ge=60)]] = Field(
        default=[],
        description="Further numbers of labels that decisions are learned from, for the curve of what a label buys. A "
        "number above the rows of a set's labelled part means all of them. Default: --labels alone.",
    )

    shifted: bool = Field(
        default=True,
        description="Test every method also on the sets that share no question with its own, in the first division.",
    )


class AblateParams(TrialParams):
    """Compare the default heads with heads that differ in one choice: RL or not, reward, loss terms, recalibration.

    All train on the same labels, for the same epochs, with the same early stopping; improper rewards run on purpose.
    Differences to the default come with paired 95% intervals over test queries, divisions and training seeds, as a
    Parquet table, a forest plot (PNG, PDF), Markdown and LaTeX (booktabs).
    """
