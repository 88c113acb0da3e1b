"""The parameters of every flow: one frozen model each, which is its form in the Prefect UI and its command line.

A setting that a step below has too is declared there and inherited here. Constraints are `Literal`, `ge`/`le` and
`pattern`, which the form checks; what they cannot say is in `param_checks`. A description says what a field is, its
unit, its default where that is None, and when to change it (tests/flows/test_help.py).
Torch and Prefect are imported where a property needs them: a wrong option is refused before they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from routecal.calib.learn.reward_names import RewardName
from routecal.calib.settings import EnsembleSettings, HeadSettings, Reading, RewardSettings
from routecal.flows.engine_params import EngineParams
from routecal.flows.form import Params
from routecal.flows.oracle_params import OracleParams, QueryParams, ShardSize
from routecal.flows.threshold_params import EscalationParams

if TYPE_CHECKING:
    from routecal.calib.learn.cross_fit import CrossFitPlan
    from routecal.calib.learn.rl import RLConfig
    from routecal.calib.learn.sft import SFTConfig

# Of scikit-learn, whose generators take 32 bits.
MAX_SEED = 2**32 - 1

Seed = Annotated[
    int,
    Field(ge=0, le=MAX_SEED, description="Seed of everything random in the run. Change it to see how results scatter."),
]


class RouterParams(Params, Reading):
    """Which router, and how it reads a query."""

    GROUP: ClassVar[str] = "router"

    router_path: str = Field(
        description="Folder of the router's checkpoint, as save_pretrained wrote it: a …ForSequenceClassification or a "
        "…ForCausalLM model.",
    )

    @property
    def reading(self) -> Reading:
        """How the router reads a query, and what is kept of it."""
        return Reading(**self.model_dump(include=set(Reading.model_fields)))


class StageParams(Params):
    """What the stages of training do."""

    GROUP: ClassVar[str] = "head"

    preset: Literal["proper", "as-written"] = Field(
        default="proper",
        description="Settings of the RL stage: proper takes the Brier reward and a sampled gradient; as-written is the "
        "method's first form, which calibrates badly and is there to compare with.",
    )
    reward_type: RewardName | None = Field(
        default=None,
        description="Reward of the RL stage; calibration is another name for linear. Default: brier, with --preset "
        "as-written linear.",
    )
    epochs: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Max. passes over the training rows in each stage; training stops once validation gets no better. "
        "Default: 50 in SFT, 30 in RL, with --preset as-written 10 in RL.",
    )


# Pydantic lists the fields of the last base first.
class HeadParams(EnsembleSettings, HeadSettings, RewardSettings, StageParams):
    """How the confidence head is trained."""

    block: Literal["chosen", "last"] = Field(
        default="chosen",
        description="What the head reads where several layers or poolings were extracted: the block chosen by "
        "cross-validation on the labelled queries, or the last layer at the last token.",
    )
    seed: Seed = 0

    @property
    def plan(self) -> CrossFitPlan:
        """Which heads, and how many."""
        from routecal.calib.learn.cross_fit import CrossFitPlan

        return CrossFitPlan(**self.model_dump(include={*EnsembleSettings.model_fields, *HeadSettings.model_fields}))

    @property
    def sft(self) -> SFTConfig:
        """Configuration of the warm start."""
        from routecal.calib.learn.sft import SFTConfig

        config = SFTConfig(seed=self.seed)
        return config if self.epochs is None else config.model_copy(update={"epochs": self.epochs})

    @property
    def rl(self) -> RLConfig:
        """Configuration of the RL stage: the preset, with what the parameters set."""
        from routecal.calib.learn.rl import RLConfig, preset

        given = {"reward": self.reward_type, "epochs": self.epochs}
        changes = {name: value for name, value in given.items() if value is not None}
        changes |= self.model_dump(include=set(RewardSettings.model_fields))
        return RLConfig(**(preset(self.preset).model_dump() | changes | {"seed": self.seed}))


class ExtractParams(EngineParams, RouterParams, QueryParams):
    """Read policy, logits and hidden state of every query off the frozen router."""

    EXAMPLE: ClassVar[str] = "--queries questions.jsonl --router-path ./my-router"
    FIRST: ClassVar[tuple[str, ...]] = (
        *("queries", "router_path", "template", "layers", "poolings", "dtype", "max_tokens", "verbal", "limit"),
        *("columns", "shard_size", "on", "workers"),
    )

    shard_size: ShardSize = 500


class TrainRouterParams(OracleParams, QueryParams):
    """Make a router, if you have none: a linear routing head on a base model, fitted to labelled queries."""

    EXAMPLE: ClassVar[str] = "--queries questions.jsonl --base-model ./gemma --output-dir ./my-router"
    FIRST: ClassVar[tuple[str, ...]] = (
        *("queries", "base_model", "output_dir", "oracle", "outcomes", "template", "limit", "columns", "max_usd"),
        "seed",
    )

    base_model: str = Field(
        description="Folder of the checkpoint that gets the routing head: a …ForCausalLM model, or a sentence encoder "
        "of BERT's kind. Or minilm, the small encoder of the extra encoder: take it if you have no model at hand.",
    )
    template: str = Field(
        default="{query}",
        pattern=r"\{query\}",
        description="Prompt that the router is trained on, with {query} in place of the query.",
    )
    output_dir: str | None = Field(
        default=None, description="Folder that the router is copied to as well. Default: none; it is an artifact."
    )
    seed: Seed = 0


class TrainParams(EngineParams, HeadParams):
    """Train a confidence head on labels and features that earlier steps stored."""

    EXAMPLE: ClassVar[str] = "--output-dir ./my-head"
    FIRST: ClassVar[tuple[str, ...]] = (
        *("mode", "run", "output_dir", "data_file", "router_path", "preset", "epochs", "folds", "pca", "seed"),
    )
    GROUP: ClassVar[str] = "inputs"

    on: str | None = Field(
        default=None,
        pattern=r"^modal(:.+)?$",
        description="Engine that trains: modal takes machines of Modal's. Default: this process; a head is too small "
        "to be spread over workers.",
    )
    mode: Literal["all", "sft", "rl"] = Field(
        default="all", description="Stages to run: all of SFT, RL and recalibration, or sft or rl only."
    )
    run: str | None = Field(
        default=None,
        description="Id of the run whose labels these are, as the names in artifacts/runs have it. Default: the "
        "newest.",
    )
    queries: str | None = Field(
        default=None, description="A queries artifact. Default: the one recorded with the labels."
    )
    labels: str | None = Field(default=None, description="A labels artifact. Default: the one of the run.")
    features: str | None = Field(
        default=None, description="A features artifact. Default: the one of the run, else the newest of its queries."
    )
    data_file: str | None = Field(
        default=None,
        description="A JSONL file with query and true_policy, as export writes it, in place of labels. Default: none.",
    )
    router_path: str | None = Field(
        default=None, description="Folder of the router that reads --data-file, which requires it. Default: none."
    )
    shard_size: ShardSize = 500
    init_checkpoint: str | None = Field(
        default=None, description="Folder of the head that --mode rl starts from. Default: the newest SFT head."
    )
    output_dir: str | None = Field(
        default=None, description="Folder that the head is copied to as well. Default: none; it is an artifact."
    )


class EvaluateParams(EscalationParams):
    """Measure a head on the test split, against the baselines, and say what escalating by it saves."""

    EXAMPLE: ClassVar[str] = "--medium-price 1 --large-price 20"
    FIRST: ClassVar[tuple[str, ...]] = (
        *("run", "head", "medium_price", "large_price", "price_unit", "risk", "at_most", "probability"),
        *("budget", "call_rate", "answer_value", "seed"),
    )

    head: str | None = Field(default=None, description="Folder of a head. Default: the last head of the run.")
    run: str | None = Field(
        default=None,
        description="Id of the run whose examples and head these are, as the names in artifacts/runs have it. Default: "
        "the newest.",
    )
    seed: Seed = 0


class CalibrateParams(EngineParams, EscalationParams, HeadParams, OracleParams, RouterParams, QueryParams):
    """From your queries to a calibrated head and its report: label, extract, train, evaluate."""

    EXAMPLE: ClassVar[str] = "--queries questions.jsonl --router-path ./my-router"
    FIRST: ClassVar[tuple[str, ...]] = (
        *("queries", "router_path", "oracle", "outcomes", "medium_price", "large_price", "risk", "at_most"),
        *("probability", "limit", "columns", "template", "max_usd", "rpm"),
    )
