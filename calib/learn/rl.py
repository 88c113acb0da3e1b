"""METHOD.md step 3: policy gradient on a reward for stated confidence."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from routecal.calib.examples import Examples
from routecal.calib.head import ConfidenceHead
from routecal.calib.learn import rewards
from routecal.calib.learn.confidence_policy import LogitNormal, expectation
from routecal.calib.learn.losses import (
    bernoulli_kl,
    calibration_gap,
    ranking_gap,
    score_function,
    smooth_calibration_gap,
    surrogate,
)
from routecal.calib.learn.monitors import gradient_variance
from routecal.calib.learn.rl_config import PRESETS, RLConfig, preset
from routecal.calib.learn.tensor_shapes import check_rows
from routecal.calib.learn.training_loop import (
    StepLog,
    TrainingRows,
    Watch,
    adamw,
    batch_size,
    frozen_logits,
    prepare,
    update,
)

__all__ = ["PRESETS", "GradientSource", "RLConfig", "estimate", "preset", "steps"]


@dataclass(frozen=True)
class GradientSource:
    """What one batch says of the expected reward.

    Attributes:
        loss: () its gradient is an estimate of -d mean E[r]; its value is that only where there are no draws.
        reward: (k, b) of each draw, or (b,) where there are none.
        variance: () of a row's sampled gradient in z, see `monitors.gradient_variance`; None where there are no draws.
    """

    loss: Tensor
    reward: Tensor
    variance: Tensor | None


def estimate(
    z: Tensor, y: Tensor, cfg: RLConfig, generator: torch.Generator, *, policy: LogitNormal | None = None
) -> GradientSource:
    """The policy gradient at logits z (b,) for outcomes y (b,), {0, 1} or soft.

    score_function: k confidences per row are drawn from the policy at the head's output, so that features are never
    repeated; each draw's reward, less the mean of the others', weighs the gradient of its log density.
    exact: the expectation of that over all draws, by quadrature.
    surrogate: no policy, p = sigmoid(z) itself, as in METHOD.md.

    Args:
        z: (b,) with gradient.
        y: (b,), the same for all draws.
        cfg: which reward, estimator and number of draws.
        generator: of the draws.
        policy: of the draws; by default with a spread of .1.

    >>> z, y = torch.zeros(2), torch.tensor([1.0, 0.0])
    >>> as_written = estimate(z, y, PRESETS["as-written"], torch.Generator())
    >>> as_written.loss.item(), as_written.reward.tolist()
    (-0.25, [0.5, 0.5])
    """
    check_rows(z=z, y=y)
    reward = cfg.reward_function
    if cfg.estimator == "surrogate":
        p = z.sigmoid()
        r = reward(p, y)
        return GradientSource(surrogate(p, r), r, None)
    policy = policy or LogitNormal()
    if cfg.estimator == "exact":
        r = expected_reward(z, y, reward, policy)
        return GradientSource(-r.mean(), r, None)
    x = policy.draw(z, cfg.draws, generator)  # (k, b)
    r = reward(x.sigmoid(), y)  # (k, b)
    return GradientSource(score_function(policy.log_prob(x, z), r), r, gradient_variance(policy.score(x, z), r))


def expected_reward(z: Tensor, y: Tensor, reward: rewards.Reward, policy: LogitNormal) -> Tensor:
    """E[r] (b,) of a confidence drawn from the policy at z (b,), for outcomes y (b,); differentiable."""
    check_rows(z=z, y=y)
    return expectation(policy, z, lambda x: reward(x.sigmoid(), y))


def steps(head: ConfidenceHead, train: Examples, validation: Examples, cfg: RLConfig) -> Iterator[StepLog]:
    """Train `head` in place; yield one record per step, and leave the best validation epoch when exhausted.

        loss = policy gradient + calibration_weight · calibration term + ranking_weight · relu(margin - gap)

    Under the Brier reward the expected gradient is, but for a smoothing as wide as the draws, that of SFT's squared
    error: RL finds no other optimum, only other data, another utility or another path (DESIGN 5.2).

    Args:
        head: usually after SFT; its inputs are fitted on `train` only if no stage did so before.
        train: rows to learn from, on their soft targets if they have them; all count alike.
        validation: rows that choose the epoch.
        cfg: hyperparameters.

    Raises:
        TooFewExamples, FeatureMismatch: see `training_loop.prepare`.
        Collapsed: every confidence became one value (with early stopping; without, the record says so).

    Warns:
        ImproperReward: the configuration is improper and does not say that this is meant.
    """
    if cfg.improper is not None and not cfg.allow_improper:
        warnings.warn(rewards.ImproperReward(cfg.reward, cfg.estimator, cfg.improper), stacklevel=2)
    prepare(head, train, validation)
    rows, rng = TrainingRows.of(train, head, soft=True), torch.Generator().manual_seed(cfg.seed)
    rows = replace(rows, z_start=frozen_logits(head, rows))
    watch = Watch(
        "rl", head, TrainingRows.of(validation, head), patience=cfg.patience, early_stopping=cfg.early_stopping
    )
    optimiser, step = adamw(head, lr=cfg.lr, weight_decay=cfg.weight_decay), 0
    for epoch in range(1, cfg.epochs + 1):
        for batch, is_last in rows.batches(batch_size(cfg.batch, len(rows.y)), rng):
            assert batch.z_start is not None
            z = head.logit(batch.x, batch.offset, generator=rng)
            found = estimate(z, batch.y, cfg, rng)
            further = _further_terms(z, batch.y, cfg)
            loss = found.loss + sum(weight * term for weight, term in further.values() if weight)
            update(optimiser, loss)
            step, p = step + 1, z.detach().sigmoid()
            values = {name: term.item() for name, (_, term) in further.items()}
            yield watch.record(
                step,
                epoch,
                loss,
                p,
                is_last=is_last,
                terms={"policy_gradient": found.loss.item(), **values},
                reward=found.reward.mean().item(),
                kl=bernoulli_kl(z.detach(), batch.z_start).item(),
                grad_variance=None if found.variance is None else found.variance.item(),
            )
        if watch.done:
            break
    watch.restore()


def _further_terms(z: Tensor, y: Tensor, cfg: RLConfig) -> dict[str, tuple[float, Tensor]]:
    """Weight and value of each further term of the loss. Cheap ones are there at weight 0 too, to be looked at."""

    def logits(weight: float) -> Tensor:
        return z if weight else z.detach()

    p, ranked = logits(cfg.calibration_weight).sigmoid(), logits(cfg.ranking_weight).sigmoid()
    terms = {"ranking": (cfg.ranking_weight, ranking_gap(ranked, y, margin=cfg.margin))}
    if cfg.calibration == "as-written":
        terms["calibration"] = cfg.calibration_weight, calibration_gap(p, y)
    elif cfg.calibration == "smooth" and cfg.calibration_weight:
        terms["calibration"] = cfg.calibration_weight, smooth_calibration_gap(p, y)
    return terms
