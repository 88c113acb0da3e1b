"""Recipes: a confidence head from labelled rows to a predictor, with every choice that an ablation may turn."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
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

    residual: bool = Field(default=True, description="start from what the router puts out, calibrated")
    start: Literal["outputs", "logit"] = Field(default="outputs", description="all of that, or its logit alone")
    hidden_units: int = Field(default=256, ge=1, description="units of the MLP's hidden layer")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="fraction of hidden units dropped in training")
    pca: int | None = Field(default=None, ge=1, description="principal components that the MLP reads; None: all of it")
    router_outputs: bool = Field(default=False, description="the MLP reads the router's log probabilities as well")
    members: int = Field(default=1, ge=1, le=100, description="heads of different seeds, averaged in probability")
    folds: int | None = Field(
        default=None, ge=3, le=20, description="cross-fitted: `members` heads for each fold, which validates them"
    )
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

    With `folds` the splits are dealt anew, once for each fold: that fold validates, the next one calibrates, the rest
    train, and the heads of all rotations are averaged. So every row teaches most of them, and the recalibrator is
    chosen on what each row is told by the heads that it did not teach.

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
    warm: dict[tuple[Recipe, int, int], ConfidenceHead] = {}
    done: dict[Recipe, _Trained] = {}

    def trained(raw: Recipe, rows: Examples, fold: int) -> list[ConfidenceHead]:
        heads, validation = [], rows.only("validation")
        start = raw.with_changes(second=None, second_rows=(), members=1)
        for member in range(raw.members):
            own = seed * raw.members + member
            if (start, own, fold) not in warm:
                warm[start, own, fold] = _warm_started(start, rows, validation, own)
            heads.append(_continued(raw, warm[start, own, fold], rows, validation, own))
        return heads

    def all_trained(raw: Recipe) -> _Trained:
        if raw.folds is None:
            ensemble, held_out = Ensemble(trained(raw, labelled, 0)), labelled.only("calibration", "validation")
            return _Trained(ensemble, ensemble.confidence(held_out.hidden, held_out.logits), held_out.y)
        heads, p, fold_of = [], np.empty(len(labelled)), _fold_of(len(labelled), raw.folds, seed)
        for fold in range(raw.folds):
            own = trained(raw, _rotated(labelled, (fold_of - fold) % raw.folds), fold)
            mine = labelled.where(fold_of == fold)
            p[fold_of == fold] = Ensemble(own).confidence(mine.hidden, mine.logits)
            heads += own
        return _Trained(Ensemble(heads), p, labelled.y)

    found = {}
    for name, recipe in recipes.items():
        raw = recipe.with_changes(recalibrated=False)
        if raw not in done:
            done[raw] = all_trained(raw)
        head, p, y = done[raw]
        found[name] = Headed(head, choose(p, y, seed=seed).recalibrator if recipe.recalibrated else Identity())
    return found


class _Trained(NamedTuple):
    """Heads, and what they say of rows that they did not learn from, with what was right there."""

    head: Ensemble
    p: FloatArray
    y: NDArray[np.float32]


def _fold_of(n: int, folds: int, seed: int) -> NDArray[np.int64]:
    return np.asarray(np.random.default_rng(seed).permutation(n) % folds)


def _rotated(labelled: Examples, turn: NDArray[np.int64]) -> Examples:
    """The rows with turn 0 validate, those with turn 1 calibrate, all others train."""
    split = np.select([turn == 0, turn == 1], ["validation", "calibration"], "train")
    return replace(labelled, split=split)


def _warm_started(recipe: Recipe, labelled: Examples, validation: Examples, seed: int) -> ConfidenceHead:
    config = HeadConfig(
        width=labelled.hidden.shape[1],
        hidden_units=recipe.hidden_units,
        dropout=recipe.dropout,
        residual=recipe.residual,
        start=recipe.start,
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
