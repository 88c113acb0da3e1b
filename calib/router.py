"""A frozen router: a Hugging Face checkpoint in, (policy, logits, hidden states) out, in one forward pass.

Two kinds of checkpoint serve as routers:

- sequence classification, whose labels are the policies (`id2label` names all of them, in any order);
- causal language models that *say* the policy: each policy name is scored as a continuation of the prompt,
  logit = log P(name | prompt), the sum over the name's tokens.

The default hidden state is the last layer's at the last token of the prompt, in both kinds; `calib.pooling` says which
others there are.
Custom code in a checkpoint is never run (`trust_remote_code` stays off).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from calib.body import Body, batches, is_causal
from calib.checkpoint import kind_of, label_order, load
from calib.errors import CheckpointMissing, NonFinite, RouterUnusable
from calib.policy import POLICIES
from calib.pooling import DEFAULT, blocks_of
from calib.readers import QUESTION, Classifier, Speaker


@dataclass(frozen=True)
class RouterOutput:
    """What the router made of n queries, in their order.

    Attributes:
        policy: (n,) int64, index into `POLICIES` of the largest logit.
        logits: (n, 3) float32, in the order of `POLICIES`.
        hidden: (n, d) float32, last layer, last prompt token.
        n_tokens: (n,) int32, prompt tokens read.
        truncated: (n,) bool, whether the prompt was longer than the window and lost its middle part.
        blocks: (n, d) float32 by block name, `hidden` among them.
        verbal: (n,) float32 in [0, 1], the router's P(True) on its own decision; None where it was not asked.
    """

    policy: NDArray[np.int64]
    logits: NDArray[np.float32]
    hidden: NDArray[np.float32]
    n_tokens: NDArray[np.int32]
    truncated: NDArray[np.bool_]
    blocks: dict[str, NDArray[np.float32]]
    verbal: NDArray[np.float32] | None = None


class FrozenRouter:
    """A router that is only ever read.

    Args:
        path: folder that `save_pretrained` wrote (model and tokenizer).
        template: how the prompt is made of the query; must hold `{query}` once.
        dtype: "auto" takes the checkpoint's; a half-precision checkpoint runs in float32 on a CPU without
            native bfloat16, where it would be many times slower.
        device: torch device; None takes CUDA where there is one.
        max_tokens: reading window; None takes the checkpoint's own.
        layers, poolings: each layer is read under each pooling, beside the default block (`calib.pooling.blocks_of`).
        verbal: also ask the router whether its decision is right: a second, shorter forward pass, causal routers only.

    Raises:
        CheckpointMissing: the folder is not there or holds no model.
        RouterUnusable: the labels are not the policies, the architecture is of neither kind, it cannot answer a
            question, or the window is too narrow for one.
        UnknownName: there is no such layer or pooling.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        template: str = "{query}",
        dtype: str = "auto",
        device: str | None = None,
        max_tokens: int | None = None,
        layers: Sequence[int] = (-1,),
        poolings: Sequence[str] = ("last",),
        verbal: bool = False,
    ) -> None:
        self.path, self.template, self.verbal = Path(path), template, verbal
        if template.count("{query}") != 1:
            raise RouterUnusable(str(path), f"the prompt template {template!r} must hold {{query}} exactly once")
        if not (self.path / "config.json").is_file():
            raise CheckpointMissing(str(path), "Hugging Face checkpoint (config.json)")
        self.kind = kind_of(self.path)
        if verbal and self.kind != "causal":
            raise RouterUnusable(str(path), "a classifier answers no question; ask for no verbal confidence")
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._tokenizer, self._model = load(self.path, self.kind, dtype, self.device)
        text_config = self._model.config.get_text_config()
        # No token follows the ones read, so nothing would use the keys and values that are kept by default.
        text_config.use_cache = False
        self.width, self.n_layers = int(text_config.hidden_size), int(text_config.num_hidden_layers)
        windows = (max_tokens, getattr(text_config, "max_position_embeddings", None), self._tokenizer.model_max_length)
        self.max_tokens = min(int(w) for w in windows if w)
        self._reader: Classifier | Speaker
        causal = is_causal(self._model)
        if self.kind == "sequence_classification" and causal:
            # What decides is the state at the last token: one vector, stored under one name.
            poolings = ["last" if pooling == "decision" else pooling for pooling in poolings]
        blocks = blocks_of(layers, poolings, self.n_layers)
        self.blocks = tuple(block.name for block in blocks)
        body = Body(
            self._model,
            pad=self._tokenizer.pad_token_id,
            causal=causal,
            blocks=blocks,
            n_layers=self.n_layers,
            path=str(path),
        )
        if self.kind == "sequence_classification":
            self._reader = Classifier(body, label_order(self.path, self._model), self._tokenizer.bos_token_id)
        else:
            self._reader = Speaker(body, self._tokenizer)
        if self.max_tokens <= (needed := self._reader.spare_verbal if verbal else self._reader.spare):
            raise RouterUnusable(
                str(path), f"its window of {self.max_tokens} tokens must hold {needed} beside the prompt; widen it"
            )

    @property
    def schema(self) -> dict[str, str]:
        """What a head must know to trust features of this router: stored beside them and compared on loading."""
        asked = {"verbal_sha256": _digest(QUESTION)} if self.verbal else {}
        return {
            "router_kind": self.kind,
            "width": str(self.width),
            "layer": "last",
            "pooling": "last_token",
            "n_layers": str(self.n_layers),
            "blocks": " ".join(self.blocks),
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "template_sha256": _digest(self.template),
            "max_tokens": str(self.max_tokens),
            **asked,
        }

    def read(self, queries: Sequence[str]) -> RouterOutput:
        """Route every query; rows come back in the order given.

        Raises:
            NonFinite: the model produced NaN or infinity.
        """
        ids = self._tokenizer([self.template.replace("{query}", q) for q in queries])["input_ids"]
        prompts = [_cut(p, self.max_tokens - self._reader.spare) for p in ids]
        n = len(prompts)
        blocks = {name: np.empty((n, self.width), np.float32) for name in self.blocks}
        logits = np.empty((n, len(POLICIES)), np.float32)
        with torch.inference_mode():
            for rows in batches([self._reader.tokens(p) for p in prompts]):
                z, vectors = self._reader.read([prompts[i] for i in rows])
                logits[rows] = z.float().cpu().numpy()
                policy = logits[rows].argmax(axis=1)
                for name, v in vectors.items():
                    # Pooled at the decision, there is a vector for every decision the router might have taken.
                    chosen = policy if v.shape[1] > 1 else np.zeros(len(rows), np.int64)
                    blocks[name][rows] = v.cpu().numpy()[np.arange(len(rows)), chosen]
        policy = logits.argmax(axis=1)
        verbal = self._ask(prompts, policy) if self.verbal else None
        output = RouterOutput(
            policy=policy,
            logits=logits,
            hidden=blocks[DEFAULT],
            n_tokens=np.array([len(p) for p in prompts], np.int32),
            truncated=np.array([len(p) < len(whole) for p, whole in zip(prompts, ids, strict=True)], bool),
            blocks=blocks,
            verbal=verbal,
        )
        numbers = [*blocks.values(), logits, *([] if verbal is None else [verbal[:, None]])]
        finite = np.all([np.isfinite(values).all(axis=1) for values in numbers], axis=0)
        if not finite.all():
            raise NonFinite("the router's hidden state", tuple(np.flatnonzero(~finite).tolist()), n)
        return output

    def _ask(self, prompts: list[list[int]], policy: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n,) P(True) on every decision; a prompt that leaves no room for the question is cut once more."""
        assert isinstance(self._reader, Speaker)
        cut = [_cut(p, self.max_tokens - self._reader.spare_verbal) for p in prompts]
        p_true = np.empty(len(cut), np.float32)
        with torch.inference_mode():
            for rows in batches([len(p) + self._reader.spare_verbal for p in cut]):
                said = self._reader.confidence([cut[i] for i in rows], policy[rows].tolist())
                p_true[rows] = said.cpu().numpy()
        return p_true


def _cut(prompt: list[int], room: int) -> list[int]:
    """A prompt with the middle cut out if it is too long, so that its end, the question, is read."""
    head = room // 2
    return prompt if len(prompt) <= room else prompt[:head] + prompt[len(prompt) - (room - head) :]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
