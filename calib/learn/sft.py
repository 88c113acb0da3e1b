"""METHOD.md step 2: supervised warm start, the squared error of confidence against the outcome, 0/1 or soft."""

from collections.abc import Iterator

import torch
from pydantic import BaseModel, ConfigDict, Field

from routecal.calib.examples import Examples
from routecal.calib.head import ConfidenceHead
from routecal.calib.learn.training_loop import (
    StepLog,
    TrainingRows,
    Watch,
    adamw,
    batch_size,
    prepare,
    update,
)


class SFTConfig(BaseModel):
    """How to train in SFT."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=50, ge=0, le=1000, description="passes over the train split, at most")
    lr: float = Field(default=1e-4, gt=0, le=1, description="learning rate of AdamW")
    batch: int | None = Field(
        default=None, ge=1, description="rows per step; default: 64, of 6,400 rows and more a hundredth, at most 1,024"
    )
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW's, on all parameters")
    early_stopping: bool = Field(default=True, description="stop when stale, and keep the best epoch (0 included)")
    patience: int = Field(default=5, ge=1, description="epochs without a better validation Brier before stopping")
    seed: int = Field(default=0, ge=0, description="of shuffling and dropout")


def steps(head: ConfidenceHead, train: Examples, validation: Examples, cfg: SFTConfig) -> Iterator[StepLog]:
    """Train `head` in place; yield one record per step, and leave the best validation epoch when exhausted.

        loss = mean (p - y)²

    Args:
        head: its inputs are fitted on `train` unless they were before.
        train: rows to learn from, on their soft targets if they have them; all count alike, never reweighted (that
            would destroy calibration).
        validation: rows that choose the epoch.
        cfg: hyperparameters.

    Raises:
        TooFewExamples, FeatureMismatch: see `training_loop.prepare`.
        Collapsed: every confidence became one value (with early stopping).
    """
    prepare(head, train, validation)
    rows, rng = TrainingRows.of(train, head, soft=True), torch.Generator().manual_seed(cfg.seed)
    watch = Watch(
        "sft", head, TrainingRows.of(validation, head), patience=cfg.patience, early_stopping=cfg.early_stopping
    )
    optimiser, step = adamw(head, lr=cfg.lr, weight_decay=cfg.weight_decay), 0
    for epoch in range(1, cfg.epochs + 1):
        for batch, is_last in rows.batches(batch_size(cfg.batch, len(rows.y)), rng):
            p = head.logit(batch.x, batch.offset, generator=rng).sigmoid()
            loss = (p - batch.y).square().mean()
            update(optimiser, loss)
            step += 1
            yield watch.record(step, epoch, loss, p, is_last=is_last, terms={"mse": loss.item()})
        if watch.done:
            break
    watch.restore()
