"""Recipes: a confidence head from labelled rows to a predictor, with every choice that an ablation may turn."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Self

from pydantic import Field

from routecal.calib.checks import FloatArray
from routecal.calib.examples import Examples
from routecal.calib.head import Ensemble
from routecal.calib.learn import cross_fit, rl, sft
from routecal.calib.learn.cross_fit import CrossFitPlan, Deal
from routecal.calib.learn.rl import RLConfig
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.learn.training_loop import StepLog
from routecal.calib.recalibrate import Identity, Recalibrator, choose_recalibrator


class Recipe(CrossFitPlan):
    """How heads are made. The defaults are those of `routecal train`."""

    first: SFTConfig = Field(default=SFTConfig(), description="warm start, on `first_rows`; its seed is replaced")
    first_rows: tuple[str, ...] = Field(default=("train",), description="splits that SFT learns from")
    second: RLConfig | SFTConfig | None = Field(
        default=RLConfig(), description="second stage: RL, or SFT again as its control, or none"
    )
    second_rows: tuple[str, ...] = Field(default=("calibration",), description="splits the second stage learns from")
    recalibrated: bool = Field(default=True, description="recalibrate on rows that the heads did not learn from")

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

    Every stage takes its early stopping from the validation split of its turn; the recalibrator is chosen on rows that
    the heads did not learn from (`calib.learn.cross_fit.Deal.held_out`), as in `routecal train`.

    Args:
        recipes: by name.
        labelled: rows of the splits train, calibration and validation.
        seed: of weights, shuffling, dropout, draws and of dealing rows that carry no share.

    Returns:
        One predictor per recipe, in their order.

    Raises:
        TooFewExamples: a split is empty.
        OutOfRange: a number of folds that leaves none to train on.
        Collapsed: see `calib.learn.training_loop`.
    """
    warm: dict[Recipe, Ensemble] = {}
    done: dict[Recipe, Ensemble] = {}
    found = {}
    for name, recipe in recipes.items():
        deal = Deal.of(labelled, folds=recipe.folds, seed=seed)
        raw = recipe.with_changes(recalibrated=False)
        start = raw.with_changes(second=None, second_rows=())
        if start not in warm:
            warm[start] = _warm_started(start, deal, seed=seed)
        if raw not in done:
            done[raw] = _continued(raw, warm[start], deal, seed=seed)
        found[name] = Headed(done[raw], _recalibrator(done[raw], deal, seed) if recipe.recalibrated else Identity())
    return found


def fit(recipe: Recipe, deal: Deal, *, seed: int = 0) -> Ensemble:
    """Heads after both stages, without a recalibrator; arguments and errors as in `train`."""
    return _continued(recipe, _warm_started(recipe, deal, seed=seed), deal, seed=seed)


def _warm_started(recipe: Recipe, deal: Deal, *, seed: int) -> Ensemble:
    ensemble = cross_fit.untrained(recipe, deal, seed=seed)
    cfg = recipe.first.model_copy(update={"seed": seed})
    _run(cross_fit.steps(sft.steps, ensemble, deal, cfg, rows=recipe.first_rows))
    return ensemble


def _continued(recipe: Recipe, start: Ensemble, deal: Deal, *, seed: int) -> Ensemble:
    if recipe.second is None:
        return start
    ensemble, loop = deepcopy(start), rl.steps if isinstance(recipe.second, RLConfig) else sft.steps
    cfg = recipe.second.model_copy(update={"seed": seed})
    _run(cross_fit.steps(loop, ensemble, deal, cfg, rows=recipe.second_rows))
    return ensemble


def _recalibrator(ensemble: Ensemble, deal: Deal, seed: int) -> Recalibrator:
    return choose_recalibrator(*deal.held_out(ensemble), seed=seed).recalibrator


def _run(steps: Iterator[StepLog]) -> None:
    for _ in steps:
        pass
