"""Routers that read as a chat, heads of the form that Switchyard has, and what it makes of them."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from routecal.calib import switchyard
from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.head import ConfidenceHead, Ensemble, HeadConfig, LoadedHead
from routecal.calib.packed_folder import Serving
from routecal.calib.policy import DEFAULT_MAP, POLICIES, PolicyMap
from routecal.calib.recalibrate import RECALIBRATORS, Recalibrator
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.calib.router.prompt_tokens import chat_template
from routecal.calib.router.router_output import RouterOutput
from tests.calib.switchyard_loader import SwitchyardRouter
from tests.calib.tiny_families import model_of, tokenizer_of
from tests.tasks.made import texts

CHAT = (
    "{{ bos_token }}{% for m in messages %}<turn>{{ m['role'] }}: {{ m['content'] | trim }}\n{% endfor %}"
    "{% if add_generation_prompt %}<turn>model:{% endif %}"
)
ASKED = [text * (1 + i % 3) for i, text in enumerate(texts(200))]
UP = DEFAULT_MAP.changed({"Ambiguous_Query": "large"})
OWN_NAMES = PolicyMap(models=dict(zip(POLICIES, ("flash", "pro", "flash"), strict=True)))


def checkpoint(family: str, folder: Path) -> Path:
    """A classifier on a decoder whose tokenizer knows how a chat is written, its labels in an order of their own."""
    tokenizer = tokenizer_of(family, model_max_length=512, chat_template=CHAT)
    window = {"n_positions" if family == "gpt2" else "max_position_embeddings": 512}
    labels = dict(enumerate(policy.value for policy in reversed(POLICIES)))
    ids = {label: i for i, label in labels.items()}
    model_of(family, len(tokenizer), id2label=labels, label2id=ids, **window).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def opened(folder: Path) -> FrozenRouter:
    """It reads as a chat, and its policies differ: the score layer is turned away from what all states share."""
    template = chat_template(FrozenRouter(folder).tokenizer)
    assert template is not None
    router = FrozenRouter(folder, template=template)
    mean = torch.from_numpy(router.read(ASKED[:50]).hidden.mean(axis=0))
    with torch.no_grad():
        weight = router.reader.body.model.score.weight
        weight -= torch.outer(weight @ mean, mean) / (mean @ mean)
    return router


@cache
def read(router: FrozenRouter) -> RouterOutput:
    return router.read(ASKED)


def headed(
    router: FrozenRouter,
    threshold: float = 0.5,
    *,
    recalibrator: Recalibrator | None = None,
    policy_map: PolicyMap = DEFAULT_MAP,
    shape: dict[str, Any] | None = None,
    members: int = 3,
) -> CalibratedRouter:
    """Heads with inputs fitted to unlike rows, some of which they clip, and weights that tell queries apart."""
    output, rng = read(router), np.random.default_rng(0)
    heads = []
    for seed in range(members):
        rows = rng.permutation(len(ASKED))[: 40 + seed]
        config = HeadConfig(
            **({"width": router.width, "hidden_units": 8, "residual": False, "activation": "relu"} | (shape or {}))
        )
        head = ConfidenceHead(config, seed=seed)
        head.fit_inputs(output.hidden[rows], output.logits[rows], np.arange(len(rows)) % 2)
        head.std[:3] *= 0.1
        with torch.no_grad():
            head.last.weight.copy_(torch.from_numpy(rng.normal(0, 1, head.last.weight.shape)))
        heads.append(head)
    recalibrator = recalibrator or RECALIBRATORS["identity"]([0.0, 1.0], [0, 1])
    serving = Serving(router=str(router.path), template=router.template, threshold=threshold, policy_map=policy_map)
    return CalibratedRouter(router, LoadedHead(Ensemble(heads), recalibrator, {}), serving)


def loaded(routed: CalibratedRouter, folder: Path) -> SwitchyardRouter:
    """What Switchyard makes of it."""
    made = switchyard.checkpoint_of(routed, encoder=str(routed.router.path), path="here")
    (folder / "router.pt").write_bytes(switchyard.as_bytes(made))
    return SwitchyardRouter(folder / "router.pt", made["models"])


def at_median(routed: CalibratedRouter) -> CalibratedRouter:
    """The same with a threshold in the widest gap among those confidences that lie in the middle."""
    output = read(routed.router)
    p = np.sort(routed.head.confidence(output.hidden, output.logits))[60:140]
    i = int(np.diff(p).argmax())
    serving = routed.serving.model_copy(update={"threshold": float(p[i : i + 2].mean())})
    return CalibratedRouter(routed.router, routed.head, serving)
