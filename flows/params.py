"""The parameters of every flow: one frozen model each, which is its form in the Prefect UI and its command line.

Constraints are `Literal`, `ge`/`le` and `pattern`, which the form checks; what they cannot say is in `param_checks`.
Torch and Prefect are imported where a property needs them: a wrong option is refused before they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from routecal.calib.learn.reward_names import RewardName
from routecal.flows.oracle_params import OracleParams, Params, QueryParams

if TYPE_CHECKING:
    from routecal.calib.learn.cross_fit import Plan
    from routecal.calib.learn.rl import RLConfig
    from routecal.calib.learn.sft import SFTConfig
    from routecal.tasks.escalate import Terms
    from routecal.tasks.extract import Reading

# Of scikit-learn, whose generators take 32 bits.
MAX_SEED = 2**32 - 1


class RouterParams(Params):
    """Which router, and how it reads a query."""

    router_path: str = Field(description="folder of a …ForSequenceClassification or …ForCausalLM checkpoint")
    template: str = Field(
        default="{query}", pattern=r"\{query\}", description="prompt the router was trained on, around {query}"
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="dtype to compute in; auto takes the checkpoint's"
    )
    max_tokens: int | None = Field(
        default=None, ge=8, description="cut longer queries; default: the router's window, and 2,048 tokens of a query"
    )
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
        from routecal.tasks.extract import Reading

        return Reading(
            template=self.template,
            dtype=self.dtype,
            max_tokens=self.max_tokens,
            layers=self.layers,
            poolings=self.poolings,
            verbal=self.verbal,
        )


class HeadParams(Params):
    """How the confidence head is trained."""

    preset: Literal["proper", "as-written"] = Field(
        default="proper",
        description="of the RL stage. proper: Brier reward, sampled gradient; as-written: linear reward, "
        "as the method was first written down; badly calibrated, for comparison",
    )
    reward_type: RewardName | None = Field(
        default=None,
        description="reward of the RL stage (default: the preset's); calibration means linear",
    )
    reward_alpha: float = Field(default=1.0, gt=0, le=100, description="alpha of reward beta; 1 and 1 is brier")
    reward_beta: float = Field(default=1.0, gt=0, le=100, description="beta of reward beta")
    cost_ratio: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        description="of reward cost_weighted: cost of a wrong decision kept / a right one escalated",
    )
    epochs: int | None = Field(default=None, ge=1, le=1000, description="at most, per stage (default: the preset's)")
    hidden_units: int = Field(default=128, ge=1, le=65536, description="units of the MLP's hidden layer")
    residual: bool = Field(default=True, description="start from what the router puts out, calibrated")
    pca: int | None = Field(
        default=None, ge=1, description="principal components of the hidden state to read (default: all of it)"
    )
    folds: int | None = Field(
        default=None,
        ge=0,
        le=20,
        description="cross-fitting: a head for each fold of the labelled queries (default: 5 from 100 to 20,000 of "
        "them), at least 3; 0: one head on train, calibration and validation splits",
    )
    members: int = Field(default=1, ge=1, le=100, description="heads per fold, of different seeds")
    block: Literal["chosen", "last"] = Field(
        default="chosen",
        description="what the head reads where several layers or poolings were extracted: chosen by cross-validation "
        "on the labelled queries, or the last layer at the last token",
    )
    seed: int = Field(default=0, ge=0, le=MAX_SEED, description="of training and bootstrap")

    @property
    def plan(self) -> Plan:
        """Which heads, and how many."""
        from routecal.calib.learn.cross_fit import Plan

        return Plan(**{name: getattr(self, name) for name in ("hidden_units", "residual", "pca", "folds", "members")})

    @property
    def sft(self) -> SFTConfig:
        """Configuration of the warm start."""
        from routecal.calib.learn.sft import SFTConfig

        return SFTConfig(seed=self.seed, **({} if self.epochs is None else {"epochs": self.epochs}))

    @property
    def rl(self) -> RLConfig:
        """Configuration of the RL stage: the preset, with what was asked for instead."""
        from routecal.calib.learn.rl import RLConfig, preset

        rewarded = {name: getattr(self, name) for name in ("reward_alpha", "reward_beta", "cost_ratio")}
        asked = {"reward": self.reward_type, "epochs": self.epochs, **rewarded}
        changes = {name: value for name, value in asked.items() if value is not None}
        return RLConfig(**(preset(self.preset).model_dump() | changes | {"seed": self.seed}))


class ExtractParams(RouterParams, QueryParams):
    """Read policy, logits and hidden state of every query off the frozen router."""

    shard_size: int = Field(default=500, ge=1, le=5000, description="queries per task: what a crash can cost")


class TrainRouterParams(OracleParams, QueryParams):
    """Make a router: a linear routing head over the policies on a base model, fitted to labelled queries."""

    base_model: str = Field(description="folder of the causal-LM checkpoint that gets the routing head")
    template: str = Field(default="{query}", pattern=r"\{query\}", description="prompt around {query}")
    output_dir: str | None = Field(default=None, description="also copy the router to this folder")
    seed: int = Field(default=0, ge=0, le=MAX_SEED, description="of the cross-validation")


class TrainParams(HeadParams):
    """Train a confidence head on labels and features that earlier steps stored."""

    mode: Literal["all", "sft", "rl"] = Field(
        default="all", description="all: SFT, RL and recalibration; sft or rl: that stage alone"
    )
    run: str | None = Field(
        default=None, description="id of the run, as runs/ has it, whose labels these are (default: the newest)"
    )
    queries: str | None = Field(default=None, description="queries artifact (default: of the labels)")
    labels: str | None = Field(default=None, description="labels artifact (default: of the run)")
    features: str | None = Field(
        default=None, description="features artifact (default: of the run, or else the newest of its queries)"
    )
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
        default=None, gt=0, description="of an answer of the large model, in the same unit; 1 and 20 will do"
    )
    price_unit: str = Field(default="the unit of the prices given", description="of the two prices, for the report")
    margin: float = Field(
        default=0.01, ge=0, lt=1, description="share of queries whose loss against all-large counts as none"
    )

    margin_confidence: float = Field(
        default=0.95, ge=0.5, lt=1, description="that the margin is kept on other queries; .5 takes the point estimate"
    )

    @property
    def terms(self) -> Terms:
        """All of it."""
        from routecal.tasks.escalate import Terms

        return Terms(
            medium_price=self.medium_price,
            large_price=self.large_price,
            price_unit=self.price_unit,
            margin=self.margin,
            confidence=self.margin_confidence,
        )


class EvaluateParams(EscalationParams):
    """Measure a head on the test split, against the baselines."""

    head: str | None = Field(default=None, description="head folder (default: the last of the run)")
    run: str | None = Field(
        default=None,
        description="id of the run, as runs/ has it, whose examples and head these are (default: newest)",
    )
    seed: int = Field(default=0, ge=0, le=MAX_SEED, description="of the bootstrap")


# Forms and --help show the last base first.
class CalibrateParams(EscalationParams, HeadParams, OracleParams, RouterParams, QueryParams):
    """From queries to a calibrated head: label, extract, train, evaluate, report."""


class StatsParams(Params):
    """Dataset balance and reliability of one run."""

    method: str | None = Field(default=None, description="whose reliability to show (default: the run's last head)")
    run: str | None = Field(
        default=None, description="id of the run, as runs/ has it (default: the newest that labelled something)"
    )


class ExportParams(Params):
    """Write one run's examples as JSONL: query, router_policy, true_policy, is_correct, target_confidence."""

    output_file: str = Field(default="sft_data.jsonl", description="where to")
    run: str | None = Field(
        default=None, description="id of the run, as runs/ has it (default: the newest that has examples)"
    )
    held_out: bool = Field(
        default=False, description="also write the test rows, which no head may learn from, and the split of every row"
    )
