"""The confidence head: what the router already knows, plus what its hidden state adds."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import load_file, save_file
from scipy.special import expit
from torch import Tensor, nn

from calib.checks import FloatArray, checked
from calib.errors import CheckpointMissing, FeatureMismatch
from calib.recalibrate import Recalibrator, from_json, platt_parameters, to_json

# A dimension that hardly varied in training may take any value later; it is clipped at this many standard deviations.
CLIP_STD = 8.0


class HeadConfig(BaseModel):
    """The shape of a head."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(ge=1, description="width of the router's hidden state, read from the router's config")
    hidden_units: int = Field(default=256, ge=1, description="units of the MLP's hidden layer")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="fraction of hidden units dropped in training")
    residual: bool = Field(
        default=True,
        description="start from the calibrated router logit; off: METHOD.md's plain MLP on the hidden state",
    )


class ConfidenceHead(nn.Module):
    """Confidence logit of a frozen router's decisions.

        z = a * logit(pmax) + b + mlp((h - mean) / std),   p = sigmoid(z)

    pmax is the largest softmax probability of the router's logits. (a, b) and (mean, std) are fitted once, by
    `fit_inputs`, and are not trained; the MLP (width -> hidden_units -> 1, GELU) starts at exactly 0, so before the
    first step the head *is* the Platt-scaled router (DESIGN 5.3). With `residual=False`, z = mlp(...) with an ordinary
    start.

    The global random generator is neither read nor disturbed: `seed` starts the weights, and dropout acts only in calls
    that hand over a generator.

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

    def __init__(self, config: HeadConfig, *, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.first = nn.Linear(config.width, config.hidden_units)
            self.last = nn.Linear(config.hidden_units, 1)
        if config.residual:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)
        self.register_buffer("mean", torch.zeros(config.width))
        self.register_buffer("std", torch.ones(config.width))
        self.register_buffer("platt", torch.tensor([1.0, 0.0]))
        self.register_buffer("fitted", torch.tensor(False))

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.mean.device

    def fit_inputs(self, hidden: NDArray[np.float32], logits: NDArray[np.float32], y: NDArray[Any]) -> None:
        """Set mean and std of the hidden state, and Platt's (a, b) of the router's logit, from the train split.

        A dimension that does not vary keeps std 1, so it becomes 0 instead of noise blown up.

        Args:
            hidden: (n, width).
            logits: (n, 3).
            y: (n,) {0, 1}.

        Raises:
            FeatureMismatch: the width of `hidden` is not the head's.
            InvalidLabel: an entry of y is neither 0 nor 1.
        """
        self.check_width(hidden)
        x = router_logit(torch.as_tensor(logits, dtype=torch.float64)).numpy()
        _, labels = checked(expit(x), y)
        mean, std = hidden.mean(axis=0, dtype=np.float64), hidden.std(axis=0, dtype=np.float64)
        constant = std <= 1e-6 * np.maximum(1.0, np.abs(mean))
        for buffer, value in (
            (self.mean, mean),
            (self.std, np.where(constant, 1.0, std)),
            (self.platt, np.array(platt_parameters(x, labels))),
        ):
            buffer.copy_(torch.from_numpy(value))
        self.fitted.fill_(True)

    def forward(self, hidden: Tensor, logits: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Confidence logit z (n,) of hidden (n, width) and logits (n, 3).

        Args:
            hidden: the router's last hidden state.
            logits: the router's logits, in the order of `POLICIES`.
            generator: source of the dropout masks, in training; None switches dropout off.
        """
        h = ((hidden - self.mean) / self.std).clamp(-CLIP_STD, CLIP_STD)
        units = nn.functional.gelu(self.first(h))
        if generator is not None and self.config.dropout:
            kept = torch.rand(units.shape, generator=generator).to(units.device) >= self.config.dropout
            units = units * kept / (1 - self.config.dropout)
        z: Tensor = self.last(units).squeeze(-1)
        if self.config.residual:
            z = z + self.platt[0] * router_logit(logits) + self.platt[1]
        return z

    def confidence(self, hidden: NDArray[np.float32], logits: NDArray[np.float32]) -> FloatArray:
        """P(the router's policy is right), float64 (n,), before any recalibrator.

        Args:
            hidden: (n, width).
            logits: (n, 3).

        Raises:
            FeatureMismatch: the width of `hidden` is not the head's.
        """
        self.check_width(hidden)
        with torch.inference_mode():
            h, z = (torch.as_tensor(a, dtype=self.mean.dtype, device=self.device) for a in (hidden, logits))
            return np.asarray(expit(self(h, z).double().cpu().numpy()))

    def save(self, folder: Path, *, recalibrator: Recalibrator, lineage: dict[str, Any]) -> None:
        """Write head.safetensors, config.json and README.md (a model card) into `folder`, made if need be.

        Args:
            folder: where; the caller makes it atomic.
            recalibrator: what `load` gives back beside the head.
            lineage: JSON of where all this comes from; kept as it is under "lineage".
        """
        folder.mkdir(parents=True, exist_ok=True)
        config = {"head": self.config.model_dump(), "recalibrator": to_json(recalibrator), "lineage": lineage}
        save_file({k: v.detach().cpu().contiguous() for k, v in self.state_dict().items()}, folder / "head.safetensors")
        (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(_card(config), encoding="utf-8")

    def check_width(self, hidden: NDArray[Any]) -> None:
        """Refuse hidden states (n, width) of another width than the head's, with FeatureMismatch."""
        if hidden.ndim != 2 or hidden.shape[1] != self.config.width:
            raise FeatureMismatch("width", self.config.width, hidden.shape[-1] if hidden.ndim == 2 else hidden.shape)


@dataclass(frozen=True)
class LoadedHead:
    """A head read from its folder.

    Attributes:
        head: weights and inputs as saved.
        recalibrator: to be applied to `head.confidence(...)`.
        config: all of config.json: "head", "recalibrator", "lineage".
    """

    head: ConfidenceHead
    recalibrator: Recalibrator
    config: dict[str, Any]

    def confidence(self, hidden: NDArray[np.float32], logits: NDArray[np.float32]) -> FloatArray:
        """Recalibrated P(the router's policy is right), float64 (n,); raises FeatureMismatch as the head does."""
        return self.recalibrator(self.head.confidence(hidden, logits))


def router_logit(logits: Tensor) -> Tensor:
    """log(pmax / (1 - pmax)) of the softmax of logits (n, c), finite even where pmax rounds to 1.

        logit(pmax) = z_max - log sum_{others} exp(z)

    >>> router_logit(torch.tensor([[200.0, 0.0, -1000.0]])).item()
    200.0
    """
    ordered = logits.sort(dim=-1, descending=True).values
    return ordered[..., 0] - ordered[..., 1:].logsumexp(-1)


def load(folder: Path) -> LoadedHead:
    """The head that `ConfidenceHead.save` wrote.

    Raises:
        CheckpointMissing: the folder lacks head.safetensors or config.json.
    """
    if missing := [name for name in ("head.safetensors", "config.json") if not (folder / name).is_file()]:
        raise CheckpointMissing(str(folder), f"confidence head ({', '.join(missing)})")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    head = ConfidenceHead(HeadConfig(**config["head"]))
    head.load_state_dict(load_file(folder / "head.safetensors"))
    return LoadedHead(head.eval(), from_json(config["recalibrator"]), config)


def _card(config: dict[str, Any]) -> str:
    head = config["head"]
    kind = "on top of the calibrated router logit" if head["residual"] else "plain"
    return f"""# Confidence head

Estimates P(the router's policy is right | query) from a frozen router's last hidden state ({head["width"]} wide) and
its logits. Works only with features of the router it was trained on.

| | |
|---|---|
| architecture | 2-layer MLP, {head["hidden_units"]} units, {kind} |
| recalibrator | `{json.dumps(config["recalibrator"])}` |

Not for: queries unlike those it was trained on, or a router, prompt template or pooling other than its own.

## Lineage

```json
{json.dumps(config["lineage"], indent=2, sort_keys=True)}
```
"""
