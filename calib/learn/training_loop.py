"""What both loops share: rows on the device, batches, the record of a step, and the memory of the best epoch."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from routecal.calib.errors import Collapsed, TooFewExamples
from routecal.calib.examples import Examples
from routecal.calib.head import ConfidenceHead
from routecal.calib.head.head_inputs import as_tensor
from routecal.calib.learn.monitors import COLLAPSED_STD, TrainingHealth, mass_at_ends

Stage = Literal["sft", "rl"]

# Rows per forward pass outside of training: bounds the memory that a large validation split takes.
BLOCK = 16384
# Weights up to which a head trains on one thread: 640 inputs and 128 units have 82,000.
SMALL_HEAD = 2**20


class StepLog(BaseModel, frozen=True):
    """One optimiser step."""

    stage: Stage
    head: int = Field(default=0, description="of an ensemble, from 0")
    step: int = Field(description="from 1, over all epochs of this head")
    epoch: int = Field(description="from 1")
    loss: float = Field(description="what was minimised, on this batch")
    terms: dict[str, float] = Field(description="the unweighted terms of the loss by name")
    reward: float | None = Field(default=None, description="mean reward of the batch; None in SFT")
    mean_p: float = Field(description="mean confidence of the batch")
    std_p: float = Field(description="standard deviation of confidence in the batch")
    validation_brier: float | None = Field(default=None, description="at epoch ends only")
    collapsed: bool = Field(
        default=False, description="at epoch ends: every validation confidence is one value, or 0 or 1"
    )
    mass_at_ends: float | None = Field(default=None, description="share of the batch's confidences at 0 or 1")
    skill: float | None = Field(
        default=None, description="at epoch ends: 1 - validation Brier / that of the constant at the base rate"
    )
    kl: float | None = Field(default=None, description="nats per row that p moved from the head RL started from")
    grad_variance: float | None = Field(
        default=None, description="of a row's sampled gradient in z, mean of the batch (score_function)"
    )


@dataclass(frozen=True)
class TrainingRows:
    """Examples as what the head's MLP reads, computed once: neither loop trains what lies before it.

    Attributes:
        x: (n, inputs) on the head's device, see `ConfidenceHead.inputs`.
        offset: (n,) what the MLP's output is added to.
        y: (n,) outcome, or soft target in training.
        z_start: (n,) logits of the head as it was, for those who must not move far from it.
    """

    x: Tensor
    offset: Tensor
    y: Tensor
    z_start: Tensor | None = None

    @classmethod
    def of(cls, examples: Examples, head: ConfidenceHead, *, soft: bool = False) -> Self:
        """The rows of `examples` for a head with fitted inputs; with `soft`, y is their soft target if there is one."""
        outcome = examples.target if soft and examples.target is not None else examples.y
        x, offset = head.mean.new_empty(len(examples), head.config.n_inputs), head.mean.new_empty(len(examples))
        with torch.no_grad():
            for rows in _blocks(len(examples)):
                hidden, logits = (as_tensor(a[rows]).to(head.mean) for a in (examples.hidden, examples.logits))
                x[rows], offset[rows] = head.inputs(hidden, logits)
        return cls(x, offset, as_tensor(outcome).to(head.mean))

    def batches(self, size: int, generator: torch.Generator) -> Iterator[tuple[Self, bool]]:
        """The rows once, shuffled, `size` at a time; True beside the last batch."""
        n = len(self.y)
        order = torch.randperm(n, generator=generator).to(self.y.device)
        columns = [column for column in (self.x, self.offset, self.y, self.z_start) if column is not None]
        for start in range(0, n, size):
            i = order[start : start + size]
            yield type(self)(*(column.index_select(0, i) for column in columns)), start + size >= n


def frozen_logits(head: ConfidenceHead, rows: TrainingRows) -> Tensor:
    """z (n,) of the head as it is now, without dropout and without gradient."""
    with torch.no_grad():
        return torch.cat([head.logit(rows.x[block], rows.offset[block]) for block in _blocks(len(rows.y))])


def _blocks(n: int) -> Iterator[slice]:
    return (slice(i, i + BLOCK) for i in range(0, n, BLOCK))


class Watch:
    """Watches the validation Brier score at epoch ends, and keeps the best weights; the start is a candidate too.

    Args:
        stage: for the message of `Collapsed`.
        head: the head in training.
        validation: rows that nothing is trained on.
        patience: epochs without improvement after which `done` holds.
        early_stopping: off: `done` never holds, `restore` does nothing and collapse is recorded instead of raised.
    """

    def __init__(
        self, stage: Stage, head: ConfidenceHead, validation: TrainingRows, *, patience: int, early_stopping: bool
    ) -> None:
        self.stage: Stage = stage
        self.head, self.validation = head, validation
        self.patience, self.early_stopping = patience, early_stopping
        start = self._measure()
        self.best_brier = start.brier
        self.had_spread = start.std >= COLLAPSED_STD  # a router whose logits say nothing starts without any
        self.best_state = self._copy()
        self.stale = 0

    @property
    def done(self) -> bool:
        """Whether to stop."""
        return self.early_stopping and self.stale >= self.patience

    def record(self, step: int, epoch: int, loss: Tensor, p: Tensor, *, is_last: bool, **more: Any) -> StepLog:
        """The record of a step; at the end of an epoch with how the head does on validation.

        Args:
            step, epoch: from 1.
            loss: () what was minimised.
            p: (b,) confidence of the batch.
            is_last: the epoch ends here.
            more: other fields of `StepLog`.

        Raises:
            Collapsed: see `epoch_end`.
        """
        health = self.epoch_end() if is_last else None
        return StepLog(
            stage=self.stage,
            step=step,
            epoch=epoch,
            loss=loss.item(),
            mean_p=p.mean().item(),
            std_p=p.std(correction=0).item(),
            mass_at_ends=mass_at_ends(p),
            validation_brier=health.brier if health else None,
            skill=health.skill if health else None,
            collapsed=health is not None and health.collapsed,
            **more,
        )

    def epoch_end(self) -> TrainingHealth:
        """How the head does on validation; remembers the weights where they are the best so far.

        Raises:
            Collapsed: confidence collapsed in training with early stopping.
        """
        health = self._measure()
        if health.collapsed and self.had_spread and self.early_stopping:
            raise Collapsed(self.stage, health.std, health.mean)
        if health.brier < self.best_brier:
            self.best_brier, self.best_state, self.stale = health.brier, self._copy(), 0
        else:
            self.stale += 1
        return health

    def restore(self) -> None:
        """Put the best weights back into the head."""
        if self.early_stopping:
            self.head.load_state_dict(self.best_state)

    def _measure(self) -> TrainingHealth:
        return TrainingHealth.of(frozen_logits(self.head, self.validation).sigmoid(), self.validation.y)

    def _copy(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.head.state_dict().items()}


def prepare(head: ConfidenceHead, train: Examples, validation: Examples) -> None:
    """Fit the head's inputs on the train split, unless an earlier stage did.

    Raises:
        TooFewExamples: one of the two is empty, so that training would silently do nothing.
        FeatureMismatch: hidden states of another width than the head's.
    """
    for rows in (train, validation):
        if not len(rows):
            raise TooFewExamples(0, 1)
        head.check_width(rows.hidden)
    if not bool(head.fitted):
        head.fit_inputs(train.hidden, train.logits, train.y)


def adamw(head: ConfidenceHead, *, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW over all parameters, in one fused kernel: with a head this small the overhead per tensor is the cost."""
    return torch.optim.AdamW(head.parameters(), lr=lr, weight_decay=weight_decay, fused=True)


def batch_size(asked: int | None, n: int) -> int:
    """Rows per step: what was asked for, or else 64, from 6,400 rows on a hundredth of them, at most 1,024.

    A step costs the same to start whatever it works on, so large batches save most of an epoch's time, and a hundred
    steps an epoch are more than a thousand rows ever get.

    >>> [batch_size(None, n) for n in (500, 6400, 20_000, 1_000_000)], batch_size(32, 20_000)
    ([64, 64, 200, 1024], 32)
    """
    return asked or min(max(64, n // 100), 1024)


@contextmanager
def threads_for(head: ConfidenceHead) -> Iterator[None]:
    """While the block runs, torch computes on one thread if the head is small (`SMALL_HEAD`) and on the CPU.

    At 64 rows a step a second thread costs more than it does; at 1,024 it wins a sixth on an idle machine and makes an
    epoch eight times as slow where others use the cores, too (100,000 x 640, two cores: 40 s instead of 5). With one,
    the head is also the same to the last bit whatever number of threads the process has.
    """
    before = torch.get_num_threads()
    if head.device.type == "cpu" and sum(p.numel() for p in head.parameters()) <= SMALL_HEAD:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def update(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down the gradient of `loss`."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
