"""Training a seed ensemble: SFT, then RL, once per member, on the same rows with other seeds."""

from collections.abc import Iterator

from calib import rl, sft
from calib.errors import TooFewExamples
from calib.examples import Examples
from calib.head import ConfidenceHead, Ensemble, HeadConfig
from calib.rl import PRESETS, RLConfig
from calib.sft import SFTConfig

__all__ = ["Ensemble", "fit", "seeds"]


def fit(
    config: HeadConfig,
    train: Examples,
    calibration: Examples,
    validation: Examples,
    *,
    members: int = 1,
    seed: int = 0,
    sft_config: SFTConfig | None = None,
    rl_config: RLConfig | None = None,
) -> Ensemble:
    """Heads warm-started on `train` and calibrated by RL on `calibration`, both stopped early by `validation`.

    A member's seed starts its weights, shuffles its rows and draws its dropout and its confidences. Rows are not
    resampled: that costs each member data, and at some hundreds of rows data is what there is least of.

    Args:
        config: shape of every member.
        train: rows of SFT; they also fit the inputs.
        calibration: rows of RL.
        validation: rows that choose the epochs.
        members: heads; 5 are the usual number (Lakshminarayanan et al. 2017).
        seed: member m has the m-th of `seeds(seed)`; so one member is the first of five.
        sft_config: of every member, but for the seed; by default SFTConfig().
        rl_config: of every member, but for the seed; by default preset `proper`.

    Raises:
        TooFewExamples: no members asked for, or no rows in one of the three.
        FeatureMismatch, Collapsed: see `calib.training`.
    """
    if members < 1:
        raise TooFewExamples(members, 1)
    heads = []
    for _, own in zip(range(members), seeds(seed), strict=False):
        head = ConfidenceHead(config, seed=own)
        sft.fit(head, train, validation, (sft_config or SFTConfig()).model_copy(update={"seed": own}))
        rl.fit(head, calibration, validation, (rl_config or PRESETS["proper"]).model_copy(update={"seed": own}))
        heads.append(head)
    return Ensemble(heads)


def seeds(seed: int) -> Iterator[int]:
    """Seeds of the members: `seed` itself, then others far from those of the ensembles of seed + 1, seed + 2 ...

    >>> [next(s) for s in [seeds(7)] * 3]
    [7, 1000010, 2000013]
    """
    while True:
        yield seed
        seed += 1_000_003
