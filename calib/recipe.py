"""Recipes: a confidence head from labelled rows to a predictor, with every choice that an ablation may turn."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from calib import rl, sft
from calib.checks import FloatArray
from calib.examples import Examples
from calib.head import ConfidenceHead, Ensemble, HeadConfig
from calib.recalibrate import Identity, Recalibrator, choose
from calib.rl import RLConfig
from calib.sft import SFTConfig


class Recipe(BaseModel):
    """How a head is made. The defaults are those of `routecal train`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    residual: bool = Field(default=True, description="start from the calibrated router logit")
    hidden_units: int = Field(default=256, ge=1, description="units of the MLP's hidden layer")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="fraction of hidden units dropped in training")
    pca: int | None = Field(default=None, ge=1, description="principal components that the MLP reads; None: all of it")
    router_outputs: bool = Field(default=False, description="the MLP reads the router's log probabilities as well")
    members: int = Field(default=1, ge=1, le=100, description="heads of different seeds, averaged in probability")
    first: SFTConfig = Field(default=SFTConfig(), description="warm start, on `first_rows`; its seed is replaced")
    first_rows: tuple[str, ...] = Field(default=("train",), description="splits that SFT learns from")
    second: RLConfig | SFTConfig | None = Field(
        default=RLConfig(), description="second stage: RL, or SFT again as its control, or none"
    )
    second_rows: tuple[str, ...] = Field(default=("calibration",), description="splits the second stage learns from")
    recalibrated: bool = Field(default=True, description="recalibrate on calibration and validation rows")

    def with_changes(self, **changes: object) -> Self:
        """The recipe with other values, checked as if it had been written so.

        >>> Recipe().with_changes(residual=False).residual
        False
        """
        return type(self).model_validate({**{name: getattr(self, name) for name in type(self).model_fields}, **changes})


@dataclass(frozen=True)
class Headed:
    """A predictor: what a trained head says of examples, recalibrated."""

    head: Ensemble
    recalibrator: Recalibrator

    def __call__(self, examples: Examples) -> FloatArray:
        return self.recalibrator(self.head.confidence(examples.hidden, examples.logits))


def train(recipes: Mapping[str, Recipe], labelled: Examples, *, seed: int = 0) -> dict[str, Headed]:
    """A predictor per recipe; stages that recipes have in common are trained once.

    Every stage takes its early stopping from the validation split. The recalibrator is chosen on the calibration and
    validation splits together, as in `routecal train`.

    Args:
        recipes: by name.
        labelled: rows of the splits train, calibration and validation.
        seed: of weights, shuffling, dropout, draws and folds.

    Returns:
        One predictor per recipe, in their order.

    Raises:
        TooFewExamples: a split is empty.
        Collapsed: see `calib.training`.
    """
    validation, held_out = labelled.only("validation"), labelled.only("calibration", "validation")
    warm: dict[tuple[Recipe, int], ConfidenceHead] = {}
    done: dict[Recipe, Ensemble] = {}

    def trained(raw: Recipe, member: int) -> ConfidenceHead:
        own, start = seed * raw.members + member, raw.with_changes(second=None, second_rows=(), members=1)
        if (start, own) not in warm:
            warm[start, own] = _warm_started(start, labelled, validation, own)
        return _continued(raw, warm[start, own], labelled, validation, own)

    found = {}
    for name, recipe in recipes.items():
        raw = recipe.with_changes(recalibrated=False)
        if raw not in done:
            done[raw] = Ensemble([trained(raw, member) for member in range(raw.members)])
        recalibrator: Recalibrator = Identity()
        if recipe.recalibrated:
            p = done[raw].confidence(held_out.hidden, held_out.logits)
            recalibrator = choose(p, held_out.y, seed=seed).recalibrator
        found[name] = Headed(done[raw], recalibrator)
    return found


def _warm_started(recipe: Recipe, labelled: Examples, validation: Examples, seed: int) -> ConfidenceHead:
    config = HeadConfig(
        width=labelled.hidden.shape[1],
        hidden_units=recipe.hidden_units,
        dropout=recipe.dropout,
        residual=recipe.residual,
        pca=recipe.pca,
        router_outputs=recipe.router_outputs,
    )
    head = ConfidenceHead(config, seed=seed)
    sft.fit(head, labelled.only(*recipe.first_rows), validation, recipe.first.model_copy(update={"seed": seed}))
    return head


def _continued(
    recipe: Recipe, start: ConfidenceHead, labelled: Examples, validation: Examples, seed: int
) -> ConfidenceHead:
    if recipe.second is None:
        return start
    head, rows = deepcopy(start), labelled.only(*recipe.second_rows)
    if isinstance(recipe.second, RLConfig):
        rl.fit(head, rows, validation, recipe.second.model_copy(update={"seed": seed}))
    else:
        sft.fit(head, rows, validation, recipe.second.model_copy(update={"seed": seed}))
    return head
