"""A frozen router: a Hugging Face checkpoint in, (policy, logits, hidden state) out, in one forward pass.

Two kinds of checkpoint serve as routers:

- sequence classification, whose labels are the policies (`id2label` names all of them, in any order);
- causal language models that *say* the policy: each policy name is scored as a continuation of the prompt,
  logit = log P(name | prompt), the sum over the name's tokens.

The hidden state is the last layer's at the last token of the prompt, in both kinds.
Custom code in a checkpoint is never run (`trust_remote_code` stays off).
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calib.checkpoint import kind_of, label_order, load
from calib.errors import CheckpointMissing, NonFinite, RouterUnusable
from calib.policy import POLICIES

# Rows are batched by this many tokens: enough to fill two cores' caches, small enough to stay in them.
TOKENS_PER_BATCH = 512


@dataclass(frozen=True)
class RouterOutput:
    """What the router made of n queries, in their order.

    Attributes:
        policy: (n,) int64, index into `POLICIES` of the largest logit.
        logits: (n, 3) float32, in the order of `POLICIES`.
        hidden: (n, d) float32, last layer, last prompt token.
        n_tokens: (n,) int32, prompt tokens read.
        truncated: (n,) bool, whether the prompt was longer than the window and lost its middle part.
    """

    policy: NDArray[np.int64]
    logits: NDArray[np.float32]
    hidden: NDArray[np.float32]
    n_tokens: NDArray[np.int32]
    truncated: NDArray[np.bool_]


class FrozenRouter:
    """A router that is only ever read.

    Args:
        path: folder that `save_pretrained` wrote (model and tokenizer).
        template: how the prompt is made of the query; must hold `{query}` once.
        dtype: "auto" takes the checkpoint's; a half-precision checkpoint runs in float32 on a CPU without
            native bfloat16, where it would be many times slower.
        device: torch device; None takes CUDA where there is one.
        max_tokens: reading window; None takes the checkpoint's own.

    Raises:
        CheckpointMissing: the folder is not there or holds no model.
        RouterUnusable: the labels are not the policies, or the architecture is of neither kind.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        template: str = "{query}",
        dtype: str = "auto",
        device: str | None = None,
        max_tokens: int | None = None,
    ) -> None:
        self.path, self.template = Path(path), template
        if template.count("{query}") != 1:
            raise RouterUnusable(str(path), f"the prompt template {template!r} must hold {{query}} exactly once")
        if not (self.path / "config.json").is_file():
            raise CheckpointMissing(str(path), "Hugging Face checkpoint (config.json)")
        self.kind = kind_of(self.path)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._tokenizer, self._model = load(self.path, self.kind, dtype, self.device)
        self.order = label_order(self.path, self._model) if self.kind == "sequence_classification" else None
        text_config = self._model.config.get_text_config()
        self.width: int = text_config.hidden_size
        windows = (max_tokens, getattr(text_config, "max_position_embeddings", None), self._tokenizer.model_max_length)
        self.max_tokens = min(int(w) for w in windows if w)

    @property
    def schema(self) -> dict[str, str]:
        """What a head must know to trust features of this router: stored beside them and compared on loading."""
        return {
            "router_kind": self.kind,
            "width": str(self.width),
            "layer": "last",
            "pooling": "last_token",
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "template_sha256": hashlib.sha256(self.template.encode()).hexdigest()[:16],
            "max_tokens": str(self.max_tokens),
        }

    def read(self, queries: Sequence[str]) -> RouterOutput:
        """Route every query; rows come back in the order given.

        Raises:
            NonFinite: the model produced NaN or infinity.
        """
        prompts, truncated = self._prompts(queries)
        n = len(prompts)
        hidden = np.empty((n, self.width), np.float32)
        logits = np.empty((n, len(POLICIES)), np.float32)
        forward = self._classify if self.kind == "sequence_classification" else self._say
        with torch.inference_mode():
            for rows in _batches([len(p) for p in prompts]):
                z, h = forward([prompts[i] for i in rows])
                logits[rows], hidden[rows] = z.float().cpu().numpy(), h.float().cpu().numpy()
        finite = np.isfinite(hidden).all(axis=1) & np.isfinite(logits).all(axis=1)
        if not finite.all():
            raise NonFinite("the router's hidden state", tuple(np.flatnonzero(~finite).tolist()), n)
        return RouterOutput(
            policy=logits.argmax(axis=1),
            logits=logits,
            hidden=hidden,
            n_tokens=np.array([len(p) for p in prompts], np.int32),
            truncated=np.array(truncated, bool),
        )

    def _prompts(self, queries: Sequence[str]) -> tuple[list[list[int]], list[bool]]:
        """Token ids of every prompt, the middle of a too long one cut out so that its end, the question, is read."""
        room = self.max_tokens - (self._longest_name if self.kind == "causal" else 0)
        ids = self._tokenizer([self.template.replace("{query}", q) for q in queries])["input_ids"]
        head = room // 2
        return [p if len(p) <= room else p[:head] + p[len(p) - (room - head) :] for p in ids], [
            len(p) > room for p in ids
        ]

    def _classify(self, prompts: list[list[int]]) -> tuple[Tensor, Tensor]:
        """(b, 3) logits in the order of POLICIES and (b, d) hidden states of a classification checkpoint."""
        ids, mask, last = self._pad(prompts)
        out = self._model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
        return out.logits[:, self.order], out.hidden_states[-1][torch.arange(len(prompts)), last]

    def _say(self, prompts: list[list[int]]) -> tuple[Tensor, Tensor]:
        """(b, 3) log P(name | prompt) and (b, d) hidden states of a causal model.

        Every prompt is read once per policy name, in one forward; causal attention makes the state at the prompt's
        last token the same in all three. Vocabulary logits are computed only where a name is predicted.
        """
        rows = [(prompt, name) for prompt in prompts for name in self._names]
        ids, mask, _ = self._pad([prompt + name for prompt, name in rows])
        states = self._model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        at = [(r, len(p) - 1 + t, token) for r, (p, name) in enumerate(rows) for t, token in enumerate(name)]
        row, position, token = (torch.tensor(column, device=self.device) for column in zip(*at, strict=True))
        vocabulary = self._model.get_output_embeddings()(states[row, position]).float()
        log_p = vocabulary.log_softmax(-1)[torch.arange(len(at), device=self.device), token]
        z = torch.zeros(len(rows), device=self.device).index_add_(0, row, log_p).view(len(prompts), len(POLICIES))
        first = torch.arange(0, len(rows), len(POLICIES), device=self.device)
        ends = torch.tensor([len(p) - 1 for p in prompts], device=self.device)
        return z, states[first, ends]

    @property
    def _names(self) -> list[list[int]]:
        """Token ids of the policy names, as they continue a prompt."""
        return [self._tokenizer(p.value, add_special_tokens=False)["input_ids"] for p in POLICIES]

    @property
    def _longest_name(self) -> int:
        return max(map(len, self._names))

    def _pad(self, rows: list[list[int]]) -> tuple[Tensor, Tensor, Tensor]:
        """Right-padded ids, mask and the index of each row's last token; right, so that no position shifts."""
        lengths = torch.tensor([len(r) for r in rows], device=self.device)
        ids = torch.full((len(rows), int(lengths.max())), self._tokenizer.pad_token_id, device=self.device)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row, device=self.device)
        mask = torch.arange(ids.shape[1], device=self.device) < lengths[:, None]
        return ids, mask.long(), lengths - 1


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Row indices, longest first, in groups of at most TOKENS_PER_BATCH padded tokens (a longer row stands alone)."""
    rows: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if rows and lengths[rows[0]] * (len(rows) + 1) > TOKENS_PER_BATCH:
            yield rows
            rows = []
        rows.append(i)
    if rows:
        yield rows
