"""RL on decisions: a regression of the outcome head trained on by the realised utility of decisions that it samples.

The head is a policy: it sends a query to the large model with probability

    pi = sigmoid((gain - lambda) / T)

and is rewarded with what the decision brought, right answers minus lambda times the extra cost, and with a proper score
of the joint outcome, which keeps its probabilities calibrated. lambda, the price of the large model's answer in right
answers, is drawn anew for every query: what answers will cost is not known in training.

What to expect, written down before any run: nothing on full labels. Both answers of a labelled query are known, so the
utility of a decision that the head would make, averaged over lambda in [0, 1], is

    integral of (g - lambda) [gain > lambda] d lambda  =  g²/2 - (g - gain)²/2      for gains in [0, 1],

the squared error of the gain; sampling only adds noise to its gradient. Williams 1992 (REINFORCE), Machine Learning 8.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from routecal.calib.checks import FloatArray
from routecal.calib.outcome.cells import Cells


class UtilityConfig(BaseModel):
    """How decisions are trained on."""

    model_config = ConfigDict(frozen=True)

    reward: Literal["utility", "squared_gain", "none"] = Field(
        default="utility",
        description="utility samples decisions; squared_gain is its control: the expected gradient, without samples; "
        "none trains on by the proper score alone",
    )
    weight: float = Field(default=1.0, ge=0, description="of the reward beside the proper score")
    draws: int = Field(default=8, ge=2, description="decisions sampled per query and step")
    temperature: float = Field(default=0.1, gt=0, description="T of the policy, in gain")
    epochs: int = Field(default=20, ge=1, description="passes over the rows")
    lr: float = Field(default=1e-3, gt=0, description="of Adam")
    batch: int = Field(default=64, ge=1, description="rows per step")
    seed: int = 0


def train_on(
    x: FloatArray,
    cell: NDArray[np.int64],
    offset: FloatArray,
    weights: FloatArray,
    *,
    penalty: float,
    cells: Cells,
    config: UtilityConfig,
) -> FloatArray:
    """(d + 1, k) the weights trained on: their mean over the second half of the passes, which takes out most noise.

    Nothing is stopped early: rows to stop by would have to be kept from the regression that this starts from, or from
    what judges it. The regression's own penalty keeps the weights small.

    Args:
        x: (n, d) inputs of the regression.
        cell: (n,) outcome of every row.
        offset: (n, k) log odds that the regression adds to.
        weights: (d + 1, k) to begin with, as `fit_multinomial` gives them.
        penalty: of the regression, for all rows together.
        cells: the joint outcomes.
        config: how.
    """
    generator = torch.Generator().manual_seed(config.seed)
    columns = torch.from_numpy(np.column_stack([x, np.ones(len(x))]))
    known, start, w = torch.from_numpy(cell), torch.from_numpy(offset), torch.from_numpy(weights.copy())
    w.requires_grad_()
    better = torch.tensor(np.subtract(cells.large, cells.medium), dtype=torch.float64)
    optimiser = torch.optim.Adam([w], lr=config.lr)
    kept = list[Tensor]()
    for epoch in range(config.epochs):
        for rows in torch.split(torch.randperm(len(x), generator=generator), config.batch):
            log_p, outcome = (start[rows] + columns[rows] @ w).log_softmax(1), known[rows]
            loss = _score(log_p, outcome) + 0.5 * penalty * w[:-1].square().sum() / len(x)
            gain, truth = log_p.exp() @ better, better[outcome]
            if config.reward == "utility":
                loss = loss - config.weight * _utility(gain, truth, config, generator)
            elif config.reward == "squared_gain":
                loss = loss + config.weight * (gain - truth).square().mean() / 2
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        if epoch >= config.epochs // 2:
            kept.append(w.detach().clone())
    return np.asarray(torch.stack(kept).mean(0).numpy())


def _score(log_p: Tensor, cell: Tensor) -> Tensor:
    """Mean log loss."""
    return -log_p[torch.arange(len(cell)), cell].mean()


def _utility(gain: Tensor, truth: Tensor, config: UtilityConfig, generator: torch.Generator) -> Tensor:
    """What to climb: its gradient is that of the expected reward, by the score function."""
    price = torch.rand(config.draws, len(gain), generator=generator, dtype=torch.float64)
    large_odds = (gain - price) / config.temperature
    large = (torch.rand(price.shape, generator=generator, dtype=torch.float64) < torch.sigmoid(large_odds)).double()
    log_pi = torch.nn.functional.logsigmoid(torch.where(large == 1, large_odds, -large_odds))
    reward = large * (truth - price)
    # Of the other draws of the same query, so that the baseline does not know the draw.
    baseline = (reward.sum(0) - reward) / (config.draws - 1)
    return ((reward - baseline).detach() * log_pi).mean()
