"""The parameters of every flow: one frozen model each, which is its form in the Prefect UI and its command line.

Constraints are `Literal`, `ge`/`le` and `pattern`, which the form checks; anything else would only fail later.
"""

from typing import Literal

from pydantic import Field

from calib.rl import RLConfig, preset
from calib.sft import SFTConfig
from flows.oracle_params import OracleParams, Params, QueryParams
from tasks.escalate import Terms
from tasks.extract import Reading
from tasks.train import HeadShape


class RouterParams(Params):
    """Which router, and how it reads a query."""

    router_path: str = Field(description="folder of a …ForSequenceClassification or …ForCausalLM checkpoint")
    template: str = Field(
        default="{query}", pattern=r"\{query\}", description="prompt the router was trained on, around {query}"
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="dtype to compute in; auto takes the checkpoint's"
    )
    max_tokens: int | None = Field(default=None, ge=8, description="cut longer queries; default: the router's window")

    @property
    def reading(self) -> Reading:
        """How the router reads a query."""
        return Reading(template=self.template, dtype=self.dtype, max_tokens=self.max_tokens)


class HeadParams(Params):
    """How the confidence head is trained."""

    preset: Literal["proper", "as-written"] = Field(
        default="proper", description="proper: Brier reward, sampled gradient; as-written: exactly METHOD.md's RL"
    )
    reward_type: Literal["linear", "calibration", "brier", "log", "spherical"] | None = Field(
        default=None,
        description="reward of the RL stage (default: the preset's); calibration means linear",
    )
    epochs: int | None = Field(default=None, ge=0, le=1000, description="at most, per stage (default: the preset's)")
    hidden_units: int = Field(default=256, ge=1, le=65536, description="units of the MLP's hidden layer")
    residual: bool = Field(default=True, description="start from what the router puts out, calibrated")
    seed: int = Field(default=0, ge=0, description="of training and bootstrap")

    @property
    def shape(self) -> HeadShape:
        """Shape of the head."""
        return HeadShape(hidden_units=self.hidden_units, residual=self.residual)

    @property
    def sft(self) -> SFTConfig:
        """Configuration of the warm start."""
        return SFTConfig(seed=self.seed, **({} if self.epochs is None else {"epochs": self.epochs}))

    @property
    def rl(self) -> RLConfig:
        """Configuration of the RL stage: the preset, with what was asked for instead."""
        asked = {"reward": self.reward_type, "epochs": self.epochs}
        changes = {name: value for name, value in asked.items() if value is not None}
        return RLConfig(**(preset(self.preset).model_dump() | changes | {"seed": self.seed}))


class ExtractParams(QueryParams, RouterParams):
    """Read policy, logits and hidden state of every query off the frozen router."""

    shard_size: int = Field(default=500, ge=1, le=5000, description="queries per task: what a crash can cost")
    layers: tuple[int, ...] = Field(
        default=(-1,),
        min_length=1,
        description="layers whose states are kept, as 6,12,-1: 1 is the first, -1 the last, after the final norm",
    )
    poolings: tuple[Literal["last", "mean", "decision"], ...] = Field(
        default=("last",),
        min_length=1,
        description="how each layer's states become one vector, as last,mean: at the prompt's last token, the mean "
        "over the prompt, or at the token that holds the decision",
    )
    verbal: bool = Field(default=False, description="also ask a causal router whether its decision is right: P(True)")

    @property
    def reading(self) -> Reading:
        """How the router reads a query, and what is kept of it."""
        return super().reading.model_copy(
            update={"layers": self.layers, "poolings": self.poolings, "verbal": self.verbal}
        )


class TrainRouterParams(QueryParams, OracleParams):
    """Make a router: a linear routing head over the policies on a base model, fitted to labelled queries."""

    base_model: str = Field(description="folder of the causal-LM checkpoint that gets the routing head")
    template: str = Field(default="{query}", pattern=r"\{query\}", description="prompt around {query}")
    output_dir: str | None = Field(default=None, description="also copy the router to this folder")
    seed: int = Field(default=0, ge=0, description="of the cross-validation")


class TrainParams(HeadParams):
    """Train a confidence head on labels and features that earlier steps stored."""

    mode: Literal["all", "sft", "rl"] = Field(
        default="all", description="all: SFT, RL and recalibration; sft or rl: that stage alone"
    )
    queries: str | None = Field(default=None, description="queries artifact (default: the newest)")
    labels: str | None = Field(default=None, description="labels artifact (default: the newest)")
    features: str | None = Field(default=None, description="features artifact (default: the newest)")
    data_file: str | None = Field(
        default=None, description="JSONL with query and true_policy, as export writes it, instead of labels"
    )
    router_path: str | None = Field(default=None, description="router that reads the data file")
    shard_size: int = Field(default=500, ge=1, le=5000, description="queries of the data file per task")
    init_checkpoint: str | None = Field(
        default=None, description="head that RL starts from (default: the newest SFT head)"
    )
    output_dir: str | None = Field(default=None, description="also copy the head to this folder")


class EscalationParams(Params):
    """What answers cost, where labels do not say, and how much quality a saving may cost."""

    medium_price: float | None = Field(
        default=None, ge=0, description="of an answer of the medium model, flat (default: as recorded with the labels)"
    )
    large_price: float | None = Field(
        default=None, ge=0, description="of an answer of the large model, in the same unit; 1 and 20 will do"
    )
    price_unit: str = Field(default="the unit of the prices given", description="of the two prices, for the report")
    margin: float = Field(
        default=0.01, ge=0, le=1, description="share of queries whose loss against all-large counts as none"
    )

    margin_confidence: float = Field(
        default=0.95, ge=0.5, lt=1, description="that the margin is kept on other queries; .5 takes the point estimate"
    )

    @property
    def terms(self) -> Terms:
        """All of it."""
        return Terms(
            medium_price=self.medium_price,
            large_price=self.large_price,
            price_unit=self.price_unit,
            margin=self.margin,
            confidence=self.margin_confidence,
        )


class EvaluateParams(EscalationParams):
    """Measure a head on the test split, against the baselines."""

    head: str | None = Field(default=None, description="head folder (default: the newest)")
    seed: int = Field(default=0, ge=0, description="of the bootstrap")


class CalibrateParams(QueryParams, RouterParams, OracleParams, HeadParams, EscalationParams):
    """From queries to a calibrated head: label, extract, train, evaluate, report."""


class DemoParams(HeadParams, EscalationParams):
    """The whole pipeline on world-facts questions and a real Gemma-3-270M: no key, no server, no data of yours."""

    questions: int = Field(default=1500, ge=300, le=20000, description="how many; a third trains the router, no more")
    shard_size: int = Field(default=100, ge=1, le=5000, description="queries per task: what a crash can cost")
    medium_price: float | None = Field(default=1.0, ge=0, description="of a closed-book answer")
    large_price: float | None = Field(
        default=1.5, ge=0, description="of an open-book answer: it reads and writes 1.5 times the tokens (LOG.md)"
    )
    price_unit: str = Field(
        default="tokens; a closed-book answer = 1, an open-book one = 1.5", description="of the two prices"
    )


class StatsParams(Params):
    """Dataset balance and reliability of the newest labels, examples and predictions."""

    method: str = Field(default="SFT + RL + recalibration", description="whose reliability to show")


class ExportParams(Params):
    """Write the newest examples as JSONL: query, router_policy, true_policy, is_correct, target_confidence."""

    output_file: str = Field(default="sft_data.jsonl", description="where to")


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
        description="routing heads on the base model: cross-validated, or fitted until sure of its training queries",
    )
    base_model: str | None = Field(
        default=None, description="folder of the causal-LM checkpoint to read queries with (default: Gemma-3-270M)"
    )
    layers: list[int] = Field(default=[-1, -4, -7, -10], description="layers to keep; 1 is the first, -1 the last")
    poolings: list[Literal["last", "mean"]] = Field(default=["last", "mean"], description="of each layer")
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
