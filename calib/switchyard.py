"""The checkpoint of NVIDIA Switchyard's prefill router that decides as a calibrated router does by confidence.

Switchyard standardises the state of an encoder at a prompt's last token, projects it, and puts it through small
networks, for every target i the same in form:

    P_i = mean over members of sigmoid(head_i(relu(trunk(relu(adapter_i(x))))))

and the largest P_i serves, of equal ones the last (NVIDIA-NeMo/Switchyard, crates/prefill-router, checkpoint format 1,
read at commit 6e6fd52). Two targets, first the large model and then the medium one, say what we decide:

- medium: the confidence before recalibration, with a member for every head. Inputs are clipped by adapters,
  clip(x, ±8) = relu(x + 8) - relu(x - 8) - 8; the trunk is our hidden layer. Where the router's own policy belongs to
  the large model, a gate pushes it to 0: by how much that policy's logit leads is linear in the same state.
- large: a constant, the threshold pulled back through the recalibrator, which never falls.

So the medium model serves where the policy is its own and the confidence is at least the threshold. The large model
comes first because a tie keeps a query, and because Switchyard takes the first target where there is no text to read.
"""

import io
import json
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from scipy.special import logit
from torch import Tensor

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.checkpoint_errors import NotExportable
from routecal.calib.checks import FloatArray
from routecal.calib.head import ConfidenceHead, HeadConfig
from routecal.calib.head.head_inputs import CLIP_STD
from routecal.calib.packed_folder import Serving
from routecal.calib.policy import POLICIES, Policy
from routecal.calib.recalibrate import Recalibrator
from routecal.calib.router.chat_reading import ChatReading, chat_reading_of
from routecal.calib.router.pooling import DEFAULT

FORMAT = 1
# A lead of a policy by more than a rounding of float32 moves the confidence logit out of reach of any threshold.
GATE = 1e6
# The constant lies so much below the threshold, relatively: what a float32 sigmoid may round a tie down by.
ROUNDING = 2.0**-21
# A gated query has a lower P than this, and no confidence is as low.
LEAST_P = 1e-30


def checkpoint_of(router: CalibratedRouter, *, encoder: str, path: str) -> dict[str, Any]:
    """The checkpoint of `router`, plain values and float32 tensors.

    Exact up to rounding for queries that both programs read whole, in the same dtype; `CalibratedRouter` rounds states
    to float16 beside it, as features are stored.

    Args:
        router: whose serving rule decides by confidence.
        encoder: where Switchyard finds the router's checkpoint, which it opens as a causal language model: a folder or
            a name of the Hub.
        path: of the packed folder, for messages.

    Raises:
        NotExportable: its decision is not of this form; says all that is in the way.
    """
    reading, serving = chat_reading_of(router.router), router.serving
    threshold = least_kept(router.head.recalibrator, serving.threshold)
    reasons = list(_obstacles(router.head.head.config, serving, reading))
    if threshold is None:
        reasons.append("no confidence reaches its threshold, so the large model serves all: choose another threshold")
    if reasons or threshold is None or reading.weights is None or reading.intercepts is None:
        raise NotExportable(path, "Switchyard", tuple(reasons))
    heads, width = router.head.head.heads, router.router.width
    mean, std = (
        np.mean([_array(part) for part in parts], axis=0).astype(np.float32).astype(np.float64)  # as it is stored
        for parts in ([h.mean for h in heads], [h.std for h in heads])
    )
    rows = [reading.weights * std, (reading.weights @ mean + reading.intercepts)[:, None]]
    gate, sign = _lead(np.hstack(rows), serving)
    layer, zeros = str(router.router.n_layers), np.zeros(width)
    return {
        "format_version": FORMAT,
        "encoder": {
            "name": encoder,
            "view": "task_prompt_only",
            "n_layers": router.router.n_layers,
            "hidden_dim": width,
        },
        "architecture": {"activation": "ReLU", "ensemble_reduction": "mean(sigmoid(logits))"},
        "models": [serving.policy_map.large, serving.policy_map.medium],
        "feature_pipeline": {
            "pooling": "mean of independently standardized selected layers",
            "selected_layers": [router.router.n_layers],  # of its list of states the one after the final norm
            "layer_mean": {layer: _tensor(mean)},
            "layer_std": {layer: _tensor(std)},
            "scaler_mean": _tensor(zeros),
            "scaler_scale": _tensor(zeros + 1),
            "pca_mean": _tensor(zeros),
            "pca_components": torch.eye(width),
        },
        "model_state_dicts": _members(heads, mean, std, gate, sign, threshold),
    }


def as_bytes(checkpoint: dict[str, Any]) -> bytes:
    """The file of a checkpoint, which `torch.load(..., weights_only=True)` reads."""
    file = io.BytesIO()
    torch.save(checkpoint, file)
    return file.getvalue()


def least_kept(recalibrator: Recalibrator, threshold: float) -> float | None:
    """The least p in [0, 1] that is recalibrated to at least `threshold`; None where none is.

    >>> from routecal.calib.recalibrate.histogram import Histogram
    >>> least_kept(Histogram(edges=(0.3, 0.5), q=(0.1, 0.2, 0.7)), 0.6), least_kept(Histogram((0.5,), (0.1, 0.7)), 0.0)
    (0.5, 0.0)
    >>> least_kept(Histogram(edges=(0.5,), q=(0.1, 0.7)), 0.8) is None
    True
    """

    def is_kept(bits: int) -> bool:
        # Numbers from 0 on are in the order of their bits.
        return bool(recalibrator(np.array([bits]).view(np.float64))[0] >= threshold)

    one = int(np.ones(1).view(np.int64)[0])
    return float(np.array([bisect_left(range(one), True, key=is_kept)]).view(np.float64)[0]) if is_kept(one) else None


def _obstacles(shape: HeadConfig, serving: Serving, reading: ChatReading) -> Iterator[str]:
    """What of a packed folder Switchyard's network cannot say, and what to do."""
    if serving.decides_by == "gain":
        yield (
            "it decides by the gain of the large model, which is read off means over tokens, and Switchyard reads the "
            "last token alone: decide by confidence (--decides-by confidence)"
        )
    if shape.residual or shape.router_outputs:
        yield (
            "its head reads the router's outputs, no function of which is in Switchyard's network: train one that "
            "reads the hidden state alone (--no-residual)"
        )
    if shape.activation != "relu":
        yield f"its hidden layer is {shape.activation}, Switchyard's ReLU: train one with --activation relu"
    if shape.pca is not None:
        yield "its components are clipped a second time, which takes a layer more: train one without --pca"
    if serving.blocks != (DEFAULT,):
        yield (
            f"its head reads {' and '.join(serving.blocks)}, and Switchyard the last token alone, which is `hidden`: "
            "train one with --block last"
        )
    if reading.weights is None:
        yield (
            "its router's logits are not linear in the last token's state, so its policy cannot be told from that: "
            "use a classifier on a decoder, as `routecal train-router` makes one"
        )
    if reading.template is None:
        yield "its router's tokenizer has no chat template that holds a query as it is: use a chat model's checkpoint"
    elif not reading.is_same:
        template = json.dumps(reading.template, ensure_ascii=False)
        yield f"its prompt is not Switchyard's: train with template = {template} in the file of --config"


def _lead(logits: FloatArray, serving: Serving) -> tuple[FloatArray, float]:
    """Rows (3, d + 1), intercepts last, and a sign s with lead = s · (relu(r_0) - relu(r_1) - relu(r_2)).

    The lead is above 0 where the policy with the largest of the logits (3, d + 1) belongs to the large model. Two
    policies share a model; the third has it alone, and leads by min(a, b) = a - relu(a - b) over the others.
    """
    to_large = serving.policy_map.to_large
    alone = Policy.COMPLEX if len(to_large) == 1 else Policy.STANDARD
    a, b = (logits[POLICIES.index(alone)] - logits[i] for i, policy in enumerate(POLICIES) if policy is not alone)
    return np.stack([a, -a, a - b]), 1.0 if alone in to_large else -1.0


def _members(
    heads: tuple[ConfidenceHead, ...],
    mean: FloatArray,
    std: FloatArray,
    gate: FloatArray,
    sign: float,
    threshold: float,
) -> list[dict[str, Tensor]]:
    """A member per head, which reads (h - mean) / std; what members have in common is one tensor, stored once."""
    d, n_units = len(mean), heads[0].config.hidden_units
    adapter = _tensor(np.vstack([np.eye(d), np.eye(d), gate[:, :-1]]))
    lead = sign * np.array([1.0, -1.0, -1.0])
    nothing = torch.zeros(1, n_units + 1)
    constant = _tensor(logit([max(threshold * (1 - ROUNDING), LEAST_P)]))
    members = []
    for head in heads:
        own_mean, own_std = _array(head.mean), _array(head.std)
        low, high = ((own_mean + side * own_std - mean) / std for side in (-CLIP_STD, CLIP_STD))
        first = _array(head.first.weight)
        scaled = first * (std / own_std)
        hidden = np.hstack([scaled, -scaled, np.zeros((n_units, 3))])
        bias = _tensor(np.concatenate([-low, -high, gate[:, -1]]))
        members.append(
            {
                "adapters.0.weight": adapter,
                "adapters.0.bias": bias,
                "adapters.1.weight": adapter,
                "adapters.1.bias": bias,
                "trunk.0.weight": _tensor(np.vstack([hidden, np.append(np.zeros(2 * d), lead)])),
                "trunk.0.bias": _tensor(np.append(_array(head.first.bias) - CLIP_STD * first.sum(axis=1), 0.0)),
                "heads.0.weight": nothing,
                "heads.0.bias": constant,
                "heads.1.weight": _tensor(np.append(_array(head.last.weight), -GATE)[None]),
                "heads.1.bias": _tensor(_array(head.last.bias)),
            }
        )
    return members


def _array(tensor: Tensor) -> FloatArray:
    return np.asarray(tensor.detach().double().cpu().numpy())


def _tensor(values: FloatArray) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))
