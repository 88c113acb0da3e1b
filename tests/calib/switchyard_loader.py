"""Switchyard's prefill router, written here after its checkpoint format: what its loader refuses, scores and chooses.

Facts from NVIDIA-NeMo/Switchyard at 6e6fd52 (crates/prefill-router, Python and Rust); the code is ours. Whatever that
computes in NumPy or in torch is computed so here, as the two round differently.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import linear
from transformers import AutoModelForCausalLM, AutoTokenizer

CONSTANTS = (
    (("format_version",), 1, "unsupported checkpoint format_version"),
    (("encoder", "view"), "task_prompt_only", "checkpoint encoder view must be task_prompt_only"),
    (
        ("feature_pipeline", "pooling"),
        "mean of independently standardized selected layers",
        "unsupported checkpoint feature pooling",
    ),
    (("architecture", "activation"), "ReLU", "checkpoint activation must be ReLU"),
    (("architecture", "ensemble_reduction"), "mean(sigmoid(logits))", "unsupported checkpoint ensemble reduction"),
)


class SwitchyardRouter:
    """A prefill route: a checkpoint, and a target for each of its outputs."""

    def __init__(self, checkpoint: Path, targets: Sequence[str]) -> None:
        self.content: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
        for keys, wanted, refusal in CONSTANTS:
            value: Any = self.content
            for key in keys:
                value = value[key]
            _check(value == wanted, refusal)
        pipeline, encoder = self.content["feature_pipeline"], self.content["encoder"]
        self.layers = [int(layer) for layer in pipeline["selected_layers"]]
        self.mean, self.std = (
            np.stack([pipeline[name][str(layer)].float().numpy() for layer in self.layers] or [np.zeros(0)])
            for name in ("layer_mean", "layer_std")
        )
        self.scaler, self.scale, self.centre, self.axes = (
            pipeline[name].numpy() for name in ("scaler_mean", "scaler_scale", "pca_mean", "pca_components")
        )
        self.members = self.content["model_state_dicts"]
        n = len(self.content["models"])
        _check(
            bool(self.layers) and len(set(self.layers)) == len(self.layers),
            "checkpoint selected layers must be non-empty and unique",
        )
        _check(n > 0 and len(self.members) > 0, "checkpoint must contain models and ensemble members")
        shape = (len(self.layers), int(encoder["hidden_dim"]))
        _check(self.mean.shape == self.std.shape == shape, "checkpoint layer normalization shape is inconsistent")
        _check((self.std > 0).all() and (self.scale > 0).all(), "checkpoint normalization scales must be positive")
        _check(len(targets) == n, f"received {len(targets)} targets for {n} checkpoint heads")
        _check(len(set(targets)) == n, "targets must be unique")
        self.targets = list(targets)
        self.tokenizer = AutoTokenizer.from_pretrained(encoder["name"])
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model = AutoModelForCausalLM.from_pretrained(encoder["name"], dtype=torch.float32).base_model.eval()
        config = getattr(self.model.config, "text_config", self.model.config)
        _check(
            (config.num_hidden_layers, config.hidden_size) == (encoder["n_layers"], encoder["hidden_dim"]),
            "loaded encoder dimensions do not match checkpoint metadata",
        )

    def scores(self, prompts: Sequence[str], *, batch_size: int = 32, max_length: int = 2048) -> np.ndarray:
        """(n, targets) float32 in [0, 1]."""
        _check(bool(prompts) and all(prompts), "prompts must be non-empty")
        _check(batch_size > 0 and max_length > 0, "batch_size and max_length must be positive")
        texts = [
            self.tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
            )
            for prompt in prompts
        ]
        rows = [self._of(texts[start : start + batch_size], max_length) for start in range(0, len(texts), batch_size)]
        found = np.concatenate(rows).astype(np.float32)
        _check(
            bool(np.isfinite(found).all() and (found >= 0).all() and (found <= 1).all()),
            "forward returned an invalid probability",
        )
        return found

    def choose(self, scores: np.ndarray) -> list[str]:
        """Target of every row: the one with the largest score, of equal ones the last."""
        last = scores.shape[1] - 1 - scores[:, ::-1].argmax(axis=1)
        return [self.targets[i] for i in last]

    def states(self, texts: Sequence[str], max_length: int = 2048) -> list[np.ndarray]:
        """Of every selected layer (n, d), the state at the last token that is not padding."""
        inputs = self.tokenizer(list(texts), return_tensors="pt", padding=True, truncation=True, max_length=max_length)
        mask = inputs["attention_mask"]
        with torch.inference_mode():
            states = self.model(
                input_ids=inputs["input_ids"], attention_mask=mask, output_hidden_states=True, use_cache=False
            ).hidden_states
        last = (mask * torch.arange(mask.shape[1])).argmax(dim=1)
        return [states[layer].float()[torch.arange(len(mask)), last].numpy() for layer in self.layers]

    def _of(self, texts: Sequence[str], max_length: int) -> np.ndarray:
        layers = np.stack(self.states(texts, max_length))
        pooled = ((layers - self.mean[:, None]) / self.std[:, None]).mean(axis=0)
        x = torch.from_numpy(((((pooled - self.scaler) / self.scale) - self.centre) @ self.axes.T).astype(np.float32))
        with torch.inference_mode():
            members = [
                torch.cat([self._logit(x, own, i) for i in range(len(self.targets))], dim=1).sigmoid()
                for own in self.members
            ]
            return torch.stack(members).mean(dim=0).numpy()

    @staticmethod
    def _logit(x: torch.Tensor, own: dict[str, torch.Tensor], i: int) -> torch.Tensor:
        for part in (f"adapters.{i}", "trunk.0"):
            x = linear(x, own[f"{part}.weight"], own[f"{part}.bias"]).relu()
        return linear(x, own[f"heads.{i}.weight"], own[f"heads.{i}.bias"])


def _check(is_right: bool, refusal: str) -> None:
    if not is_right:
        raise ValueError(refusal)
