"""METHOD.md step 3: policy gradient on a reward for stated confidence."""

from collections.abc import Iterator
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from calib import rewards
from calib.errors import UnknownName
from calib.examples import Examples
from calib.head import ConfidenceHead
from calib.losses import calibration_gap, ranking_gap, score_function, surrogate
from calib.training import Rows, StepLog, Watch, adamw, prepare, update


class RLConfig(BaseModel):
    """How to train in RL."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reward: Literal["linear", "calibration", "brier", "log", "spherical"] = Field(
        default="brier",
        description="key of calib.rewards; calibration is METHOD.md's name for linear, which is improper",
    )
    estimator: Literal["score_function", "surrogate"] = Field(
        default="score_function",
        description="score_function: sampled confidences with a baseline; surrogate: METHOD.md's -(p r).mean()",
    )
    epochs: int = Field(default=30, ge=0, le=1000, description="passes over the rows, at most")
    lr: float = Field(default=3e-5, gt=0, le=1, description="learning rate of AdamW")
    batch: int = Field(default=64, ge=1, description="rows per step")
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW's, on all parameters")
    draws: int = Field(default=16, ge=2, le=1024, description="confidences drawn per row and step (score_function)")
    spread: float = Field(default=0.3, gt=0, le=3, description="std of the drawn logits around z (score_function)")
    calibration_weight: float = Field(default=0.0, ge=0, description="of |mean p - mean y| of the batch")
    ranking_weight: float = Field(default=0.0, ge=0, description="of the ranking term")
    margin: float = Field(default=0.3, ge=0, le=1, description="wanted by the ranking term")
    early_stopping: bool = Field(default=True, description="stop when stale, and keep the best epoch (0 included)")
    patience: int = Field(default=5, ge=1, description="epochs without a better validation Brier before stopping")
    seed: int = Field(default=0, ge=0, description="of shuffling, dropout and draws")


# Measured on five sets of real outcomes with an imitated router, 8 random splits each (at most 500 train, 250
# calibration, 250 validation), after SFT at lr 3e-4. Mean Brier change against SFT in 1e-4, ± one standard error over
# the 40 cells; cells share rows, so it is too narrow. RL on calibration: -1.6 ± .4 at lr 3e-5, -2.4 ± 1.1 at 1e-4; at
# 3e-5 on train: +.8 ± .4, on both: +2.4 ± 1.2. With a recalibrator fitted on the very rows RL saw: -1.3 ± 3.3 at 3e-5,
# +8.5 ± 7.9 at 1e-4; hence the low rate. calibration_weight .3 did .4 (3e-5) and 1.3 (1e-4) worse than 0,
# ranking_weight .5 (1e-4) the same as 0: both are off. as-written: +182 ± 19, mean confidence .11 above accuracy.
PRESETS: dict[str, RLConfig] = {
    "proper": RLConfig(),
    "as-written": RLConfig(
        reward="linear",
        estimator="surrogate",
        epochs=10,
        lr=1e-3,  # METHOD.md names no rate: the default of torch.optim
        calibration_weight=0.3,
        ranking_weight=0.5,
        early_stopping=False,
    ),
}


def preset(name: str) -> RLConfig:
    """The preset of that name.

    Raises:
        UnknownName: no such preset; lists those there are.

    >>> preset("as-written").reward
    'linear'
    """
    if name not in PRESETS:
        raise UnknownName("preset", name, PRESETS)
    return PRESETS[name]


def policy_gradient(z: Tensor, y: Tensor, cfg: RLConfig, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(loss (), reward) of the confidence policy at logits z (b,) for outcomes y (b,).

    score_function: the policy is logit-normal, draws are sigmoid(z + spread * noise), k per row, made at the head's
    output so that features are never repeated. The log density of the drawn logit stands for that of the confidence:
    they differ by a Jacobian without parameters. surrogate: no draws, p = sigmoid(z) itself, as in METHOD.md.

    >>> z, y = torch.zeros(2), torch.tensor([1.0, 0.0])
    >>> loss, r = policy_gradient(z, y, PRESETS["as-written"], torch.Generator())
    >>> loss.item(), r.tolist()
    (-0.25, [0.5, 0.5])
    """
    reward = rewards.get(cfg.reward)
    if cfg.estimator == "surrogate":
        p = z.sigmoid()
        r = reward(p, y)
        return surrogate(p, r), r
    noise = torch.randn((cfg.draws, len(z)), generator=generator, dtype=z.dtype).to(z.device)
    drawn = z.detach() + cfg.spread * noise  # (k, b)
    r = reward(drawn.sigmoid(), y)  # (k, b)
    log_prob = -(((drawn - z) / cfg.spread) ** 2) / 2  # up to a constant
    return score_function(log_prob, r), r


def steps(head: ConfidenceHead, train: Examples, validation: Examples, cfg: RLConfig) -> Iterator[StepLog]:
    """Train `head` in place; yield one record per step, and leave the best validation epoch when exhausted.

        loss = policy gradient + calibration_weight |mean p - mean y| + ranking_weight relu(margin - gap)

    Under the Brier reward the expected gradient is, but for a smoothing of width `spread`, that of SFT's squared error:
    RL finds no other optimum, only other data, another utility or another path (DESIGN 5.2).

    Args:
        head: usually after SFT; its inputs are fitted on `train` only if no stage did so before.
        train: rows to learn from; all count alike.
        validation: rows that choose the epoch.
        cfg: hyperparameters.

    Raises:
        TooFewExamples, FeatureMismatch: see `training.prepare`.
        Collapsed: every confidence became one value (with early stopping; without, the record says so).
    """
    prepare(head, train, validation)
    rows, rng = Rows.of(train, head), torch.Generator().manual_seed(cfg.seed)
    watch = Watch("rl", head, Rows.of(validation, head), patience=cfg.patience, early_stopping=cfg.early_stopping)
    optimiser, step = adamw(head, lr=cfg.lr, weight_decay=cfg.weight_decay), 0
    for epoch in range(1, cfg.epochs + 1):
        for batch, is_last in rows.batches(cfg.batch, rng):
            z = head(batch.hidden, batch.logits, generator=rng)
            p = z.sigmoid()
            gradient, r = policy_gradient(z, batch.y, cfg, rng)
            calibration = calibration_gap(p, batch.y)
            ranking = ranking_gap(p, batch.y, margin=cfg.margin)
            loss = gradient + cfg.calibration_weight * calibration + cfg.ranking_weight * ranking
            update(optimiser, loss)
            step += 1
            brier, collapsed = watch.epoch_end() if is_last else (None, False)
            yield StepLog(
                stage="rl",
                step=step,
                epoch=epoch,
                loss=loss.item(),
                terms={
                    "policy_gradient": gradient.item(),
                    "calibration": calibration.item(),
                    "ranking": ranking.item(),
                },
                reward=r.mean().item(),
                mean_p=p.mean().item(),
                std_p=p.std(correction=0).item(),
                validation_brier=brier,
                collapsed=collapsed,
            )
        if watch.done:
            break
    watch.restore()


def fit(head: ConfidenceHead, train: Examples, validation: Examples, cfg: RLConfig | None = None) -> list[StepLog]:
    """Run `steps` to the end, by default with preset `proper`: never worse on validation than the start."""
    return list(steps(head, train, validation, cfg or PRESETS["proper"]))
