"""A frozen router: a Hugging Face checkpoint in, (policy, logits, hidden states) out, in one forward pass.

Two kinds of checkpoint serve as routers:

- sequence classification, whose labels are the policies (`id2label` names all of them, in any order);
- causal language models that *say* the policy: each policy name is scored as a continuation of the prompt,
  logit = log P(name | prompt), the sum over the name's tokens.

The default hidden state is the last layer's at the token that the router decides by; `pooling` says which token
that is, and which other states there are. Any architecture serves whose reading in a batch is its own forward pass on
each text alone, which a dry pass tries when a router is opened (`calib.router.batch_invariance`).
Custom code in a checkpoint is never run (`trust_remote_code` stays off).
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from routecal.calib.checkpoint_errors import RouterUnusable
from routecal.calib.errors import NonFinite
from routecal.calib.policy import POLICIES
from routecal.calib.router.batch_invariance import check_vocabulary, in_a_sentence, samples, settle_reading
from routecal.calib.router.batching import TokenBudget
from routecal.calib.router.body import inner_layers
from routecal.calib.router.checkpoint import kind_of, load
from routecal.calib.router.effort import Effort, Operations, matrix_ceiling
from routecal.calib.router.pooling import DEFAULT, blocks_of, middle_layer
from routecal.calib.router.precision import check_precision
from routecal.calib.router.prompt_tokens import QUERY_TOKENS, Prompts, Tokenised, cut, texts_of
from routecal.calib.router.reader import reader_of
from routecal.calib.router.router_output import RouterOutput
from routecal.calib.router.speaker import QUESTION, Speaker
from routecal.calib.router.window import learned_positions, window_of


class FrozenRouter:
    """A router that is only ever read.

    Args:
        path: folder that `save_pretrained` wrote (model and tokenizer).
        template: how the prompt is made of the query; must hold `{query}` once.
        dtype: "auto" takes the checkpoint's; a half-precision checkpoint runs in float32 on a CPU without
            native bfloat16, where it would be many times slower.
        device: torch device; None takes CUDA where there is one.
        max_tokens: reading window; None takes the checkpoint's own, and of the query `QUERY_TOKENS` at most.
        layers, poolings: each layer is read under each pooling, beside the default block (`pooling.blocks_of`).
        outcome_layers: layers that are read beside these, the mean over the prompt's tokens, for the outcome head. None
            takes `pooling.middle_layer`, or the last layer of a model whose inner layers cannot be read.
        verbal: also ask the router whether its decision is right: a second, shorter forward pass, causal routers only.

    Attributes:
        tokenizer: of the checkpoint.
        reader: what reads prompts off it.

    Raises:
        CheckpointMissing: the folder is not there, or holds no whole model or tokenizer.
        CheckpointUnusable: its tensors, tokenizer and config are not those of one model.
        RouterUnusable: the labels are not the policies, the architecture is of neither kind or read otherwise in a
            batch than alone, it cannot answer a question, or the window is too narrow for one.
        UnknownName: there is no such layer, pooling or dtype.
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
        outcome_layers: Sequence[int] | None = (),
        verbal: bool = False,
    ) -> None:
        self.path, self.template, self.verbal = Path(path), template, verbal
        if template.count("{query}") != 1:
            raise RouterUnusable(str(path), f"the prompt template {template!r} must hold {{query}} exactly once")
        self.kind = kind_of(self.path)
        if verbal and self.kind != "causal":
            raise RouterUnusable(str(path), "a classifier cannot state a verbal confidence; do not ask for one")
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.tokenizer, self._model = load(self.path, self.kind, dtype, self.device)
        text_config = self._model.config.get_text_config()
        # No token follows the ones read, so nothing would use the keys and values that are kept by default.
        text_config.use_cache = False
        self.width, self.n_layers = int(text_config.hidden_size), int(text_config.num_hidden_layers)
        self.max_tokens = window_of(str(path), self._model, self.tokenizer, max_tokens)
        if self.kind == "sequence_classification":
            # What decides is the state that its head reads: one vector, stored under one name.
            poolings = ["last" if pooling == "decision" else pooling for pooling in poolings]
        own = blocks_of(layers, poolings, self.n_layers)
        if outcome_layers is None:
            outcome_layers = (middle_layer(self.n_layers) if inner_layers(self._model) is not None else -1,)
        read = blocks_of(outcome_layers, ["mean"], self.n_layers)
        self.outcome_blocks = tuple(block.name for block in read if block.pooling == "mean")
        # One block of each name, the confidence head's first.
        blocks = tuple({block.name: block for block in (*own, *read)}.values())
        self.blocks = tuple(block.name for block in blocks)
        self._own_blocks = tuple(block.name for block in own)
        with in_a_sentence(str(path), self._model.config.model_type):
            n_rows = int(self._model.get_input_embeddings().num_embeddings)
            check_vocabulary(str(path), self.tokenizer, n_rows)
            self.reader = reader_of(self.path, self.kind, self.tokenizer, self._model, blocks, n_rows)
            if self.max_tokens <= (needed := self.reader.spare_verbal if verbal else self.reader.spare):
                raise RouterUnusable(
                    str(path), f"its window of {self.max_tokens} tokens must hold {needed} beside the prompt; widen it"
                )
            self._prompts = Prompts(
                self.tokenizer,
                template,
                window=self.max_tokens,
                spare=self.reader.spare,
                is_capped=max_tokens is None,
                n_rows=n_rows,
                path=str(path),
            )
            is_table, padding = learned_positions(self._model) is not None, text_config.pad_token_id
            tried = samples(self._prompts, is_table=is_table, padding=padding)
            settle_reading(
                str(path),
                self._model.config.model_type,
                tried,
                self.reader,
                self._model.dtype,
                self._prompts.beginning,
            )
            check_precision(str(path), self._model, self.reader, tried[:2])
        self._budget = TokenBudget(self.device)
        self._operations = Operations(self._model, causal=self.reader.body.causal)

    @property
    def schema(self) -> dict[str, str]:
        """What a head must know to trust features of this router: stored beside them and compared on loading."""
        asked = {"verbal_sha256": _digest(QUESTION)} if self.verbal else {}
        # Said only where it changes what is read, so that heads from before it was said stay heads of their routers.
        if self._prompts.is_capped:
            asked["query_tokens"] = str(QUERY_TOKENS)
        if self._prompts.has_own_special_tokens:
            asked["special_tokens"] = "template"
        if self.outcome_blocks:
            asked["outcome_blocks"] = " ".join(self.outcome_blocks)
        return {
            "router_kind": self.kind,
            "width": str(self.width),
            "layer": "last",
            "pooling": self.reader.pooling,
            "n_layers": str(self.n_layers),
            "blocks": " ".join(self._own_blocks),
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "template_sha256": _digest(self.template),
            "max_tokens": str(self.max_tokens),
            **asked,
        }

    @property
    def ceiling(self) -> float:
        """FLOP/s of a plain matrix product in this router's dtype on its device; measured once per process."""
        return matrix_ceiling(self.device, self._model.dtype)

    def tokenised(self, queries: str | Sequence[str]) -> Tokenised:
        """The queries as `read` takes them too: what a thread can make while another one reads.

        Raises:
            NotQueries: something other than str is among them.
            QueryUnreadable: a query is blank, or holds nothing that the router can read.
        """
        began = time.perf_counter()
        return Tokenised(self._prompts.of(texts_of(queries)), time.perf_counter() - began)

    def read(
        self, queries: str | Sequence[str] | Tokenised, *, before_batch: Callable[[], None] = lambda: None
    ) -> RouterOutput:
        """Route every query; rows come back in the order given.

        Args:
            queries: one or more, or what `tokenised` of this router made of them.
            before_batch: called before every batch; what it raises ends the reading.

        Raises:
            NonFinite: the model produced NaN or infinity.
            NotQueries: something other than str is among them.
            QueryUnreadable: a query is blank, or holds nothing that the router can read.
        """
        made, tokenising_s = queries if isinstance(queries, Tokenised) else self.tokenised(queries)
        began = time.perf_counter() - tokenising_s
        prompts = [prompt.ids for prompt in made]
        n, n_padded = len(prompts), 0
        blocks = {name: np.empty((n, self.width), np.float32) for name in self.blocks}
        logits = np.empty((n, len(POLICIES)), np.float32)
        with torch.inference_mode():
            pieces, alike = [self.reader.pieces(p) for p in prompts], [self.reader.alike(p) for p in prompts]
            tokens = [sum(n_tokens for n_tokens, _ in own) for own in pieces]

            def read(rows: list[int]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
                before_batch()
                return self.reader.read([prompts[i] for i in rows])

            for rows, (z, vectors) in self._budget.read(read, tokens, alike):
                n_padded += len(rows) * max(tokens[i] for i in rows)
                logits[rows] = z.float().cpu().numpy()
                policy = logits[rows].argmax(axis=1)
                for name, v in vectors.items():
                    # Pooled at the decision, there is a vector for every decision the router might have taken.
                    chosen = policy if v.shape[1] > 1 else np.zeros(len(rows), np.int64)
                    blocks[name][rows] = v.cpu().numpy()[np.arange(len(rows)), chosen]
        policy = logits.argmax(axis=1)
        verbal = self._ask(prompts, policy) if self.verbal else None
        flops = sum(self._operations.of(*piece) for own in pieces for piece in own)
        output = RouterOutput(
            policy=policy,
            logits=logits,
            hidden=blocks[DEFAULT],
            n_tokens=np.array([len(p) for p in prompts], np.int32),
            truncated=np.array([prompt.is_cut for prompt in made], bool),
            blocks=blocks,
            verbal=verbal,
            effort=Effort(sum(map(len, prompts)), sum(tokens), n_padded, flops, time.perf_counter() - began),
        )
        numbers = [*blocks.values(), logits, *([] if verbal is None else [verbal[:, None]])]
        finite = np.all([np.isfinite(values).all(axis=1) for values in numbers], axis=0)
        if not finite.all():
            raise NonFinite("the router's hidden state", tuple(np.flatnonzero(~finite).tolist()), n)
        return output

    def _ask(self, prompts: list[list[int]], policy: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n,) P(True) on every decision; a prompt that leaves no room for the question is cut once more."""
        reader = self.reader
        assert isinstance(reader, Speaker)
        short = [cut(p, self.max_tokens - reader.spare_verbal) for p in prompts]
        p_true = np.empty(len(short), np.float32)
        with torch.inference_mode():
            for rows, said in self._budget.read(
                lambda rows: reader.confidence([short[i] for i in rows], policy[rows].tolist()),
                [len(p) + reader.spare_verbal for p in short],
                [reader.alike(p) for p in short],
            ):
                p_true[rows] = said.cpu().numpy()
        return p_true


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
