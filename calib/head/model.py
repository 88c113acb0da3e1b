"""The confidence head: what the router already knows, plus what its hidden state adds."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor, nn

from routecal.calib.checkpoint_errors import FeatureMismatch
from routecal.calib.checks import FloatArray, checked
from routecal.calib.errors import NonFinite
from routecal.calib.head.config import HeadConfig
from routecal.calib.head.head_folder import StoredHead
from routecal.calib.head.head_inputs import (
    CLIP_STD,
    as_tensor,
    moments,
    router_features,
    router_logit,
    whitened_components,
)
from routecal.calib.head.residual_start import fit_start, router_columns
from routecal.calib.recalibrate import Identity, Recalibrator
from routecal.calib.recalibrate.platt import platt_parameters

# Rows whose confidence is computed at a time: bounds memory beside the features.
FORWARD_ROWS = 65536


class ConfidenceHead(StoredHead, nn.Module):
    """Confidence logit of a frozen router's decisions.

        x = (h - mean) / std,  with `pca`: W x,  with `router_outputs`: and the standardised sorted log probabilities
        z = a * logit(pmax) + b + mlp(x),   p = sigmoid(z)

    pmax is the largest softmax probability of the router's logits. (a, b), mean, std and W are fitted once, by
    `fit_inputs`, and are not trained; the MLP (n_inputs -> hidden_units -> 1) starts at exactly 0, so before the
    first step the head *is* the Platt-scaled router (DESIGN 5.3). With `start="outputs"` a stack of that logit at a
    temperature and a ridge regression on all that the router puts out stands in place of a * logit(pmax) + b (see
    routecal.calib.head.residual_start). With `residual=False`, z = mlp(...) with an ordinary start.

    The global random generator is neither read nor disturbed: `seed` starts the weights, and dropout acts only in calls
    that hand over a generator.

    Attributes:
        config: shape.
        recalibrator: what `confidence` applies last: the identity in training, the chosen one after `from_pretrained`.
        lineage: JSON of where the head comes from, as saved.
        metrics: name -> value on held-out rows, as saved.

    Args:
        config: shape.
        seed: of the initial weights.

    >>> head = ConfidenceHead(HeadConfig(width=2, hidden_units=4))
    >>> z = head(torch.zeros(1, 2), torch.tensor([[2.0, 0.0, -100.0]]))  # logit(pmax) = 2 - log(e^0 + e^-100)
    >>> round(z.item(), 6)
    2.0
    """

    mean: Tensor
    std: Tensor
    platt: Tensor
    fitted: Tensor
    components: Tensor
    router_mean: Tensor
    router_std: Tensor
    start_mean: Tensor
    start_std: Tensor
    start_weights: Tensor
    start_bias: Tensor

    def __init__(self, config: HeadConfig, *, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.recalibrator: Recalibrator = Identity()
        self.lineage: dict[str, Any] = {}
        self.metrics: dict[str, float] = {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.first = nn.Linear(config.n_inputs, config.hidden_units)
            self.last = nn.Linear(config.hidden_units, 1)
        if config.residual:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)
        self.register_buffer("mean", torch.zeros(config.width))
        self.register_buffer("std", torch.ones(config.width))
        self.register_buffer("platt", torch.tensor([1.0, 0.0]))
        self.register_buffer("fitted", torch.tensor(False))
        if config.pca is not None:
            self.register_buffer("components", torch.eye(config.pca, config.width))
        if config.residual and config.start == "outputs":
            n_columns = 2 + 2 * config.n_logits
            self.register_buffer("start_mean", torch.zeros(n_columns))
            self.register_buffer("start_std", torch.ones(n_columns))
            self.register_buffer("start_weights", torch.eye(n_columns)[0])
            self.register_buffer("start_bias", torch.zeros(()))
        if config.router_outputs:
            self.register_buffer("router_mean", torch.zeros(config.n_logits + 1))
            self.register_buffer("router_std", torch.ones(config.n_logits + 1))

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.mean.device

    def fit_inputs(self, hidden: NDArray[np.floating], logits: NDArray[np.floating], y: NDArray[Any]) -> None:
        """Set what the head reads, from the train split: mean, std and W of the hidden state, Platt's (a, b).

        A dimension that does not vary keeps std 1, so it becomes 0 instead of noise blown up.

        Args:
            hidden: (n, width).
            logits: (n, c), c >= 2; c = n_logits with `router_outputs` or `start="outputs"`.
            y: (n,) {0, 1}.

        Raises:
            FeatureMismatch: the width of `hidden` or of `logits` is not the head's.
            InvalidLabel: an entry of y is neither 0 nor 1.
        """
        self.check_width(hidden, logits)
        z = torch.as_tensor(np.array(logits, np.float64))
        x = router_logit(z).numpy()
        _, labels = checked(expit(x), y)
        self._set(*moments(hidden), names=("mean", "std"))
        self._set(np.array(platt_parameters(x, labels)), names=("platt",))
        if self.config.pca is not None:
            scaled = np.clip((hidden - self.mean.cpu().numpy()) / self.std.cpu().numpy(), -CLIP_STD, CLIP_STD)
            self._set(whitened_components(scaled, self.config.pca), names=("components",))
        if self.config.residual and self.config.start == "outputs":
            found = fit_start(router_columns(z).numpy(), labels)
            self._set(*found, names=("start_mean", "start_std", "start_weights", "start_bias"))
        if self.config.router_outputs:
            self._set(*moments(router_features(z).numpy()), names=("router_mean", "router_std"))
        self.fitted.fill_(True)

    def inputs(self, hidden: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """(x, offset): what the MLP reads (n, n_inputs), and what its output is added to (n,).

        Nothing here is trained, so a loop computes it once and not in every step.

        Args:
            hidden: (n, width), the router's hidden state.
            logits: (n, c), the router's logits.
        """
        x = _standardised(hidden, self.mean, self.std)
        if self.config.pca is not None:
            x = (x @ self.components.T).clamp_(-CLIP_STD, CLIP_STD)
        if self.config.router_outputs:
            x = torch.cat([x, _standardised(router_features(logits), self.router_mean, self.router_std)], dim=-1)
        if not self.config.residual:
            return x, x.new_zeros(len(x))
        if self.config.start == "outputs":
            columns = _standardised(router_columns(logits), self.start_mean, self.start_std)
            return x, (columns @ self.start_weights.double() + self.start_bias).to(x.dtype)
        return x, self.platt[0] * router_logit(logits) + self.platt[1]

    def logit(self, x: Tensor, offset: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Confidence logit z (n,) of what `inputs` gave.

        Args:
            x: (n, n_inputs).
            offset: (n,).
            generator: source of the dropout masks, in training; None switches dropout off.
        """
        units = self.first(x)
        units = nn.functional.gelu(units) if self.config.activation == "gelu" else units.relu()
        if generator is not None and self.config.dropout:
            kept = torch.rand(units.shape, generator=generator).to(units.device) >= self.config.dropout
            units = units * kept / (1 - self.config.dropout)
        z: Tensor = self.last(units).squeeze(-1)
        return z + offset

    def forward(self, hidden: Tensor, logits: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Confidence logit z (n,) of hidden (n, width) and logits (n, c), the latter in the order of
        `calib.policy.POLICIES`.

        `logit(*inputs(hidden, logits))`; the arguments are explained there.
        """
        return self.logit(*self.inputs(hidden, logits), generator=generator)

    def confidence(self, hidden: NDArray[np.floating], logits: NDArray[np.floating]) -> FloatArray:
        """P(the router's policy is right), float64 (n,), after `recalibrator`: the identity unless it was loaded.

        Args:
            hidden: (n, width).
            logits: (n, c).

        Raises:
            FeatureMismatch: the width of `hidden` or of `logits` is not the head's.
            NonFinite: a row of them holds NaN.
        """
        self.check_width(hidden, logits)
        z = np.empty(len(hidden))
        with torch.inference_mode():
            for start in range(0, len(hidden), FORWARD_ROWS):
                rows = slice(start, start + FORWARD_ROWS)
                h, z_router = (as_tensor(a[rows]).to(self.mean) for a in (hidden, logits))
                z[rows] = self(h, z_router).double().cpu().numpy()
        if bad := tuple(np.flatnonzero(~np.isfinite(z)).tolist()):
            raise NonFinite("hidden state or logits", bad, len(z))
        return self.recalibrator(expit(z)) if len(z) else z

    def check_width(self, hidden: NDArray[Any], logits: NDArray[Any] | None = None) -> None:
        """Refuse, with FeatureMismatch, hidden states or logits of another width than the head's."""
        if hidden.ndim != 2 or hidden.shape[1] != self.config.width:
            raise FeatureMismatch("width", self.config.width, hidden.shape[-1] if hidden.ndim == 2 else hidden.shape)
        if logits is not None and self.config.reads_policies and logits.shape[-1] != self.config.n_logits:
            raise FeatureMismatch("policies", self.config.n_logits, logits.shape[-1])

    def tensors(self) -> dict[str, Tensor]:
        """Weights and inputs by name."""
        return self.state_dict()

    @classmethod
    def from_tensors(cls, config: HeadConfig, members: int, tensors: Mapping[str, Tensor], *, folds: int = 0) -> Self:
        """The head with these weights and inputs, in their dtype, on the CPU.

        Raises:
            ValueError: these are the tensors of an ensemble.
            RuntimeError, KeyError: the tensors are not those of such a head.
        """
        if members != 1:
            raise ValueError(f"it is an ensemble of {members} heads: open it with Ensemble.from_pretrained")
        head = cls(config).to(tensors["mean"].dtype)
        head.load_state_dict(tensors)
        return head.eval()

    def _set(self, *values: FloatArray, names: tuple[str, ...]) -> None:
        for name, value in zip(names, values, strict=True):
            getattr(self, name).copy_(torch.as_tensor(value))


def _standardised(rows: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return (rows - mean).div_(std).clamp_(-CLIP_STD, CLIP_STD)
