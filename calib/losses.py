"""The terms of the RL loss: two policy gradients, and METHOD.md's calibration and ranking terms."""

import torch
from torch import Tensor


def surrogate(p: Tensor, r: Tensor) -> Tensor:
    """METHOD.md's policy gradient surrogate, exactly.

        loss = -mean(p r)

    METHOD.md computes r from p without detaching it, so the gradient flows through both factors, and so it does here
    when r was made from p. With r = `rewards.linear` the expectation is p²(2q-1) + p(1-q): its best answer is p = 1 for
    every q >= 1/3, which is why a head trained so is overconfident. Kept as written, for the ablations.

    Args:
        p: (b,) confidence in [0, 1], with gradient.
        r: (b,) reward.

    Returns:
        () loss.

    >>> surrogate(torch.tensor([0.5, 1.0]), torch.tensor([1.0, 0.0])).item()
    -0.25
    """
    return -(p * r).mean()


def leave_one_out(r: Tensor) -> Tensor:
    """Baseline of each draw: the mean reward of the other draws for the same query.

        baseline_j = (sum_i r_i - r_j) / (k-1)

    Kool et al. 2019 ("Buy 4 REINFORCE samples, get a baseline for free!"). Independent of draw j, so subtracting it
    keeps the gradient unbiased.

    Args:
        r: (k, b) reward of k >= 2 draws per query.

    Returns:
        (k, b) baselines.

    >>> leave_one_out(torch.tensor([[1.0], [2.0], [6.0]])).flatten().tolist()
    [4.0, 3.5, 1.5]
    """
    return (r.sum(0) - r) / (len(r) - 1)


def score_function(log_prob: Tensor, r: Tensor) -> Tensor:
    """REINFORCE with the leave-one-out baseline: its gradient is an unbiased estimate of -dE[r].

        loss = -mean((r - leave_one_out(r)) log pi(p | query))

    Williams 1992; Kool et al. 2019. Its value means nothing, only its gradient does: watch the mean reward instead.

    Args:
        log_prob: (k, b) log density of each draw, with gradient; terms without parameters may be left out.
        r: (k, b) reward of each draw; no gradient flows through it.

    Returns:
        () loss.

    >>> log_prob = torch.tensor([[-1.0], [-2.0]])
    >>> score_function(log_prob, torch.tensor([[1.0], [0.0]])).item()  # -(1 * -1 + -1 * -2) / 2
    -0.5
    """
    adv = (r - leave_one_out(r)).detach()
    return -(adv * log_prob).mean()


def calibration_gap(p: Tensor, y: Tensor) -> Tensor:
    """METHOD.md's calibration term: how far the mean confidence of the batch is from its accuracy.

        |mean p - mean y|

    Not ECE: one bin over everything, which a constant at the base rate satisfies. Its gradient has the same size
    however small the gap is, and a batch's accuracy is noisy, so at a large weight it chases noise.

    Args:
        p: (b,) confidence in [0, 1].
        y: (b,) {0, 1}.

    >>> calibration_gap(torch.tensor([0.5, 1.0]), torch.tensor([0.0, 1.0])).item()
    0.25
    """
    return (p.mean() - y.to(p.dtype).mean()).abs()


def ranking_gap(p: Tensor, y: Tensor, *, margin: float = 0.3) -> Tensor:
    """METHOD.md's ranking term: right decisions should have `margin` more confidence than wrong ones, on average.

        relu(margin - (mean p of right - mean p of wrong))

    Departs from METHOD.md only where that gives NaN: a batch with one class costs 0. Where the features cannot support
    such a separation the term buys it with overconfidence.

    Args:
        p: (b,) confidence in [0, 1].
        y: (b,) {0, 1}.
        margin: wanted difference, in [0, 1].

    >>> round(ranking_gap(torch.tensor([0.7, 0.5]), torch.tensor([1, 0])).item(), 6)
    0.1
    >>> ranking_gap(torch.tensor([0.7, 0.5]), torch.tensor([1, 1])).item()
    0.0
    """
    right = y == 1
    if right.all() or not right.any():
        return p.sum() * 0  # a zero that still has a graph
    return torch.relu(margin - (p[right].mean() - p[~right].mean()))
