"""The terms of the RL loss: two policy gradients, METHOD.md's calibration and ranking terms, and others.

Outcomes y may be soft, in [0, 1], in every term. Shapes other than those named are refused with `ShapeMismatch`.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from routecal.calib.learn.tensor_shapes import check_draws, check_rows


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
    check_rows(p=p, r=r)
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
    check_draws(r=r)
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
    check_draws(log_prob=log_prob, r=r)
    adv = (r - leave_one_out(r)).detach()
    return -(adv * log_prob).mean()


def calibration_gap(p: Tensor, y: Tensor) -> Tensor:
    """METHOD.md's calibration term: how far the mean confidence of the batch is from its accuracy.

        |mean p - mean y|

    Not ECE: one bin over everything, which a constant at the base rate satisfies. Its gradient has the same size
    however small the gap is, and a batch's accuracy is noisy, so at a large weight it chases noise.

    Args:
        p: (b,) confidence in [0, 1].
        y: (b,) {0, 1} or soft in [0, 1].

    >>> calibration_gap(torch.tensor([0.5, 1.0]), torch.tensor([0.0, 1.0])).item()
    0.25
    """
    check_rows(p=p, y=y)
    return (p.mean() - y.to(p.dtype).mean()).abs()


def smooth_calibration_gap(p: Tensor, y: Tensor, *, width: float = 0.4) -> Tensor:
    """Squared maximum mean calibration error: do rows of similar confidence err in the same direction?

        sum_{i != j} (y_i - p_i) (y_j - p_j) exp(-|p_i - p_j| / width) / (b (b-1))

    Kumar, Sarawagi & Jain 2018 ("Trainable calibration measures for neural networks from kernel mean embeddings",
    ICML), their kernel and width. Departs from them: p and y are those of the one event, not the confidence of the
    predicted class; and pairs i = j are left out, as in Widmann et al. 2019 (NeurIPS, unbiased SKCE). With them, and
    with the square root they take, a calibrated head would pay about mean((y-p)²)/b, more the smaller the batch, and
    the slope at 0 would be infinite. So its expectation is exactly the squared error of the whole population, 0 if and
    only if p is calibrated, and a batch's value may be negative.

    When it lies: errors that change sign within less than `width` cancel; sharpness is not looked at, a constant at the
    base rate satisfies it; and its size is that of a squared error, so a weight made for `calibration_gap` does little.

    Args:
        p: (b,) confidence in [0, 1].
        y: (b,) {0, 1} or soft in [0, 1].
        width: of the Laplacian kernel, > 0.

    Returns:
        () in [-1, 1]; 0 with a graph for a single row. Takes O(b²) memory.

    >>> p, y = torch.tensor([0.5, 0.5]), torch.tensor([1.0, 1.0])  # both err by .5, the kernel is 1
    >>> smooth_calibration_gap(p, y).item()
    0.25
    >>> smooth_calibration_gap(p, torch.tensor([1.0, 0.0])).item()
    -0.25
    """
    check_rows(p=p, y=y)
    b = len(p)
    if b < 2:
        return p.sum() * 0
    error = y.to(p.dtype) - p
    kernel = torch.exp(-(p[:, None] - p).abs() / width)
    return (error @ kernel @ error - error @ error) / (b * (b - 1))


def ranking_gap(p: Tensor, y: Tensor, *, margin: float = 0.3) -> Tensor:
    """METHOD.md's ranking term: right decisions should have `margin` more confidence than wrong ones, on average.

        relu(margin - (mean p of right - mean p of wrong))

    Departs from METHOD.md only where that gives NaN: a batch with one class costs 0. A row with soft y counts as right
    with weight y and as wrong with weight 1 - y. Where the features cannot support such a separation the term buys it
    with overconfidence.

    Args:
        p: (b,) confidence in [0, 1].
        y: (b,) {0, 1} or soft in [0, 1].
        margin: wanted difference, in [0, 1].

    >>> round(ranking_gap(torch.tensor([0.7, 0.5]), torch.tensor([1, 0])).item(), 6)
    0.1
    >>> ranking_gap(torch.tensor([0.7, 0.5]), torch.tensor([1, 1])).item()
    0.0
    """
    check_rows(p=p, y=y)
    right = y.to(p.dtype)
    wrong = 1 - right
    n_right, n_wrong = right.sum(), wrong.sum()
    if n_right == 0 or n_wrong == 0:
        return p.sum() * 0  # a zero that still has a graph
    return torch.relu(margin - ((p * right).sum() / n_right - (p * wrong).sum() / n_wrong))


def bernoulli_kl(z: Tensor, z_start: Tensor) -> Tensor:
    """How far stated confidences have moved from those of a frozen head: KL of Bernoulli(p) from Bernoulli(p_start).

        mean of p log(p / p_start) + (1-p) log((1-p) / (1-p_start)),   p = sigmoid(z)

    In nats per query. Watched, not a term of the loss. The divergence between the two *policies* would be
    (z - z_start)² / (2 spread²): it depends on how widely RL explores, and counts a move from .999 to .9999 as much as
    one from .5 to .9.

    Args:
        z: (b,) logits.
        z_start: (b,) logits of the frozen head.

    Returns:
        () >= 0.

    >>> bernoulli_kl(torch.tensor([0.0]), torch.tensor([0.0])).item()
    0.0
    """
    check_rows(z=z, z_start=z_start)
    p = z.sigmoid()
    moved = p * (logsigmoid(z) - logsigmoid(z_start)) + (1 - p) * (logsigmoid(-z) - logsigmoid(-z_start))
    return moved.mean()
