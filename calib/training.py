"""What both loops share: rows on the device, batches, the record of a step, and the memory of the best epoch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from calib.errors import Collapsed, TooFewExamples
from calib.examples import Examples
from calib.head import ConfidenceHead

Stage = Literal["sft", "rl"]

# All confidences within this standard deviation, or all beyond this distance from (0, 1), is collapse.
COLLAPSED_STD = 1e-3
COLLAPSED_TAIL = 1e-3


class StepLog(BaseModel):
    """One optimiser step."""

    model_config = ConfigDict(frozen=True)

    stage: Stage
    step: int = Field(description="from 1, over all epochs")
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


@dataclass(frozen=True)
class Rows:
    """Examples as tensors on the head's device: hidden (n, d), logits (n, 3), y (n,)."""

    hidden: Tensor
    logits: Tensor
    y: Tensor

    @classmethod
    def of(cls, examples: Examples, head: ConfidenceHead) -> Self:
        hidden, logits, y = (torch.as_tensor(a).to(head.mean) for a in (examples.hidden, examples.logits, examples.y))
        return cls(hidden, logits, y)

    def batches(self, size: int, generator: torch.Generator) -> Iterator[tuple[Self, bool]]:
        """The rows once, shuffled, `size` at a time; True beside the last batch."""
        n = len(self.y)
        order = torch.randperm(n, generator=generator).to(self.y.device)
        for start in range(0, n, size):
            i = order[start : start + size]
            yield type(self)(self.hidden[i], self.logits[i], self.y[i]), start + size >= n


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
        self, stage: Stage, head: ConfidenceHead, validation: Rows, *, patience: int, early_stopping: bool
    ) -> None:
        self.stage: Stage = stage
        self.head, self.validation = head, validation
        self.patience, self.early_stopping = patience, early_stopping
        self.best_brier, _, std, _ = self._measure()
        self.had_spread = std >= COLLAPSED_STD  # a router whose logits say nothing starts without any
        self.best_state = self._copy()
        self.stale = 0

    @property
    def done(self) -> bool:
        """Whether to stop."""
        return self.early_stopping and self.stale >= self.patience

    def epoch_end(self) -> tuple[float, bool]:
        """(validation Brier, whether confidence collapsed); remembers the weights where they are the best so far.

        Raises:
            Collapsed: confidence collapsed in training with early stopping.
        """
        brier, mean, std, saturated = self._measure()
        collapsed = saturated or std < COLLAPSED_STD
        if collapsed and self.had_spread and self.early_stopping:
            raise Collapsed(self.stage, std, mean)
        if brier < self.best_brier:
            self.best_brier, self.best_state, self.stale = brier, self._copy(), 0
        else:
            self.stale += 1
        return brier, collapsed

    def restore(self) -> None:
        """Put the best weights back into the head."""
        if self.early_stopping:
            self.head.load_state_dict(self.best_state)

    def _measure(self) -> tuple[float, float, float, bool]:
        """Brier, mean, standard deviation of p on validation, and whether all of it sits at 0 or 1."""
        with torch.inference_mode():
            p = self.head(self.validation.hidden, self.validation.logits).sigmoid().double()
            saturated = bool(((p < COLLAPSED_TAIL) | (p > 1 - COLLAPSED_TAIL)).all())
            brier = (p - self.validation.y).square().mean().item()
            return brier, p.mean().item(), p.std(correction=0).item(), saturated

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


def update(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down the gradient of `loss`."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
