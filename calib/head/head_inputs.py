"""What the head reads: fixed maps of hidden state and router logits, fitted once on the train split, never trained."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from routecal.calib.checks import FloatArray

# An input that hardly varied in training may take any value later; it is clipped at this many standard deviations.
CLIP_STD = 8.0
# Rows converted to float64 at a time: a copy of everything would be four times the size of float16 features.
BLOCK_ROWS = 8192
# Components are fitted on at most this many cells (rows x width), evenly spaced rows: 78,125 rows of 640.
PCA_CELLS = 50_000_000
# A direction with less than this share of the first one's variance is rounding, not signal.
PCA_FLOOR = 1e-6


def as_tensor(array: NDArray[np.floating]) -> Tensor:
    """The array as a tensor: a view, but a copy of read-only memory, which torch would offer for writing."""
    return torch.as_tensor(np.require(array, requirements="W"))


def router_logit(logits: Tensor) -> Tensor:
    """log(pmax / (1 - pmax)) of the softmax of logits (n, c), finite even where pmax rounds to 1.

        logit(pmax) = z_max - log sum_{others} exp(z)

    >>> router_logit(torch.tensor([[200.0, 0.0, -1000.0]])).item()
    200.0
    """
    ordered = logits.sort(dim=-1, descending=True).values
    return ordered[..., 0] - ordered[..., 1:].logsumexp(-1)


def router_features(logits: Tensor) -> Tensor:
    """(n, c + 1): the router's log probabilities from the largest to the smallest, and their entropy in nats.

    Sorted, because which policy leads is a matter of the hidden state; how clearly it leads is the matter here. Says
    more than `router_logit` alone only from three policies on.

    >>> [round(v, 4) for v in router_features(torch.tensor([[0.0, 0.0]]))[0].tolist()]  # -log 2 twice, log 2
    [-0.6931, -0.6931, 0.6931]
    """
    log_q = logits.log_softmax(-1).sort(dim=-1, descending=True).values
    return torch.cat([log_q, -(log_q.exp() * log_q).sum(-1, keepdim=True)], dim=-1)


def moments(rows: NDArray[np.floating]) -> tuple[FloatArray, FloatArray]:
    """(mean, standard deviation) of every column, float64, in two passes of `BLOCK_ROWS` rows.

    A column that does not vary beyond rounding has standard deviation 1: standardised, it is 0 instead of noise blown
    up.

    Args:
        rows: (n, d), n >= 1, of any float dtype.

    >>> mean, std = moments(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> mean.tolist(), std.tolist()
    ([2.0, 5.0], [1.0, 1.0])
    """
    blocks = [rows[start : start + BLOCK_ROWS] for start in range(0, len(rows), BLOCK_ROWS)]
    mean = np.sum([block.sum(axis=0, dtype=np.float64) for block in blocks], axis=0) / len(rows)
    squares = np.sum([np.square(block - mean).sum(axis=0) for block in blocks], axis=0)
    std = np.sqrt(squares / len(rows))
    return mean, np.where(std <= 1e-6 * np.maximum(1.0, np.abs(mean)), 1.0, std)


def whitened_components(rows: NDArray[np.floating], k: int) -> FloatArray:
    """(k, d) matrix W whose W @ row has k uncorrelated entries of variance 1 over `rows`: PCA with whitening.

    Row i of W is the i-th principal axis over the standard deviation along it. Whitened, because the MLP starts from
    inputs of one scale and each component then counts alike; the price is that the weak ones count as much as the
    strong. Where the rows span fewer than k directions the rest of W is 0.

    Lies when k is near the number of rows: the smallest variances of a sample are far too small, so new rows get
    entries far beyond 1 there (they are clipped at `CLIP_STD`). A k of a tenth of the rows is safe.

    Args:
        rows: (n, d), standardised. Wide or many rows are thinned evenly to `PCA_CELLS` cells.
        k: components wanted, <= d.

    >>> w = whitened_components(np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), 1)
    >>> np.abs(w).round(4).tolist()  # variance 8/3 along the first axis
    [[0.6124, 0.0]]
    """
    from sklearn.decomposition import PCA  # here, since only training needs it

    step = max(1, -(-rows.size // PCA_CELLS))
    rows = np.asarray(rows[::step], np.float64)
    out = np.zeros((k, rows.shape[1]))
    found = min(k, len(rows) - 1, rows.shape[1])
    if found < 1 or not np.ptp(rows, axis=0).any():
        return out
    pca = PCA(found, random_state=0).fit(rows)
    kept = pca.explained_variance_ > PCA_FLOOR * pca.explained_variance_[0]
    out[:found][kept] = pca.components_[kept] / np.sqrt(pca.explained_variance_[kept])[:, None]
    return out
