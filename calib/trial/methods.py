"""What the benchmark compares: every method from labelled rows to a predictor, in groups that are fitted together."""

from collections.abc import Callable, Mapping

from routecal.calib.baselines import BASELINES, Predictor, usable
from routecal.calib.examples import Examples
from routecal.calib.learn.recipe import Recipe, train
from routecal.calib.learn.rl import preset
from routecal.calib.learn.sft import SFTConfig

# The method in question, and the baselines that have to be beaten by name.
DEFAULT = "SFT + RL + recalibration"
AS_WRITTEN = "as-written"

# The default without cross-fitting: one head, which four tenths of the labelled rows do not teach.
ONE_HEAD = "one head"

HEADS: dict[str, Recipe] = {
    "SFT": Recipe(second=None, recalibrated=False),
    "SFT + recalibration": Recipe(second=None),
    "SFT + RL": Recipe(recalibrated=False),
    DEFAULT: Recipe(),
    ONE_HEAD: Recipe(folds=0),
}

# METHOD.md to the letter: a plain MLP on the hidden state, 5 epochs of SFT and 10 of RL on all the data there is, no
# early stopping, no recalibration. It names no learning rate; 1e-3 is the default of torch.optim.
WRITTEN = Recipe(
    residual=False,
    hidden_units=256,
    folds=0,
    dropout=0.0,
    first=SFTConfig(epochs=5, lr=1e-3, early_stopping=False),
    first_rows=("train", "calibration", "validation"),
    second=preset("as-written"),
    second_rows=("train", "calibration", "validation"),
    recalibrated=False,
)


def baselines(labelled: Examples, *, seed: int = 0) -> dict[str, Predictor]:
    """Every baseline that these rows hold enough for, in its strongest form: fitted to all of them, as it likes."""
    return {name: BASELINES[name](labelled, seed=seed) for name in usable(labelled)}


def heads(labelled: Examples, *, seed: int = 0) -> dict[str, Predictor]:
    """The head after each stage, and the default as one head."""
    return dict(train(HEADS, labelled, seed=seed))


def as_written(labelled: Examples, *, seed: int = 0) -> dict[str, Predictor]:
    """METHOD.md's head, improper reward and all."""
    return dict(train({AS_WRITTEN: WRITTEN}, labelled, seed=seed))


# group -> fit(labelled, seed=…) -> predictors by method
METHODS: Mapping[str, Callable[..., dict[str, Predictor]]] = {
    "baselines": baselines,
    "heads": heads,
    "as-written": as_written,
}
