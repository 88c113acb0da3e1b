"""The two kinds of frozen router: one whose head classifies, one that says the policy's name."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from routecal.calib.checkpoint_errors import RouterUnusable
from routecal.calib.policy import POLICIES
from routecal.calib.router.body import Body
from routecal.calib.router.pooling import Places

# Asked after the router's own decision; its answer is P(True) / (P(True) + P(False)).
QUESTION = "\nIs this routing decision right? True/False\nAnswer:"
ANSWERS = (" True", " False")


# What a classifier's head makes its logits of.
Read = Literal["last_token", "first_token", "last_eos", "mean"]


class Classifier:
    """Logits by the checkpoint's own classification head.

    Args:
        body: of a sequence-classification checkpoint.
        order: column of its logits for each policy, in the order of `POLICIES`.
        opening: token that begins every text, which means leave out; None where there is none.
        sample: token ids of an ordinary text, by which it is found what the head reads.
        path: of the checkpoint, for messages.

    Raises:
        RouterUnusable: the head reads neither one token nor all.
    """

    # Tokens that a prompt must leave room for.
    spare = spare_verbal = 0

    def __init__(self, body: Body, order: Sequence[int], opening: int | None, sample: list[int], path: str) -> None:
        self._body, self._order, self._opening = body, list(order), opening
        config = body.model.config
        self._pad, self._eos = config.get_text_config().pad_token_id, config.eos_token_id
        score = getattr(body.model, "score", None)
        self._score = score if body.causal and isinstance(score, torch.nn.Linear) else None
        self.pooling: Read = "last_token" if self._score is not None else _read_by_head(body.model, sample, path)

    def tokens(self, prompt: Sequence[int]) -> int:
        """What reading the prompt costs."""
        return len(prompt)

    def alike(self, prompt: list[int]) -> int:
        """BART's head wants rows with the same number of end-of-sequence tokens."""
        return prompt.count(self._eos) if self.pooling == "last_eos" else 0

    def read(self, prompts: list[list[int]]) -> tuple[Tensor, dict[str, Tensor]]:
        """(b, 3) logits in the order of `POLICIES`, and the blocks (b, 1, d)."""
        row = torch.arange(len(prompts))
        last = torch.tensor([len(p) - 1 for p in prompts])
        read = torch.tensor([self._place(p) for p in prompts])
        read_first = torch.zeros_like(read) if self.pooling == "mean" else read
        at = Places(row, _first(prompts, self._opening), last, read_first, read, row[:, None], read[:, None])
        output, states, vectors = self._body.run(prompts, at, whole=self._score is None)
        # The head reads one token; transformers would apply it to all, and look for padding to find that one.
        logits = output.logits if self._score is None else self._score(states[row, read])
        return logits[:, self._order], vectors

    def own(self, prompt: list[int]) -> Tensor:
        """(3,) logits by the model's own forward pass on one row."""
        ids = torch.tensor([prompt], device=self._body.model.device)
        logits: Tensor = self._body.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        return logits[0, self._order]

    def _place(self, prompt: list[int]) -> int:
        """The (last) token that the head reads."""
        if self.pooling == "first_token":
            return 0
        if self.pooling == "last_eos":
            return len(prompt) - 1 - prompt[::-1].index(self._eos) if self._eos in prompt else 0
        if self._score is None or self._pad is None:
            return len(prompt) - 1
        # A decoder's own rule: the last token that is not the padding token, though it be a real one of the text.
        return max((i for i, token in enumerate(prompt) if token != self._pad), default=0)


def _read_by_head(model: Any, sample: list[int], path: str) -> Read:
    """What the head's logits are made of: the tokens on whose last states they have a gradient."""
    states: list[Tensor] = []

    def keep(_module: torch.nn.Module, _inputs: object, output: Any) -> None:
        states.append(output if isinstance(output, Tensor) else output[0])

    handle = model.base_model.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            ids = torch.tensor([sample], device=model.device)
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
            # unequal weights: the columns of a head may sum to 0
            total = (logits * torch.arange(1, len(logits) + 1, device=logits.device)).sum()
            (gradient,) = torch.autograd.grad(total, states[-1], allow_unused=True)
    finally:
        handle.remove()
    used = [] if gradient is None else gradient[0].abs().amax(-1).nonzero().flatten().tolist()
    if used == [0]:
        return "first_token"
    if used == [len(sample) - 1]:
        return "last_eos" if model.config.is_encoder_decoder else "last_token"
    if used == list(range(len(sample))):
        return "mean"
    raise RouterUnusable(
        path,
        f"its head reads {len(used)} of {len(sample)} tokens; {model.config.model_type} is not among the architectures "
        "that are read (one token, or the mean of all)",
    )


class Speaker:
    """Logits by what a causal language model would say: log P(name | prompt), the sum over the name's tokens.

    Args:
        body: of a causal checkpoint.
        tokenizer: its tokenizer.
    """

    pooling = "last_token"

    def __init__(self, body: Body, tokenizer: Any) -> None:
        self._body, self._opening = body, tokenizer.bos_token_id

        def ids(text: str) -> list[int]:
            return list(tokenizer(text, add_special_tokens=False)["input_ids"])

        self._names = [ids(policy.value) for policy in POLICIES]
        self._question, self._answers = ids(QUESTION), [ids(answer) for answer in ANSWERS]
        # A name's last token is read only where the state at it is wanted.
        self._whole = any(block.pooling == "decision" for block in body.blocks)
        self.spare = max(map(len, self._names))
        self.spare_verbal = self.spare + len(self._question) + max(map(len, self._answers))

    def tokens(self, prompt: Sequence[int]) -> int:
        """What reading the prompt costs: it is read once per name."""
        return len(self._names) * (len(prompt) + self.spare)

    def alike(self, prompt: list[int]) -> int:
        """Any rows may share a batch."""
        del prompt
        return 0

    def own(self, prompt: list[int]) -> Tensor:
        """(3,) log-probabilities of the names by the model's own forward pass, one row a name."""
        return torch.stack([self._own(prompt, name) for name in self._names])

    def _own(self, prompt: list[int], name: list[int]) -> Tensor:
        ids = torch.tensor([prompt + name], device=self._body.model.device)
        logits = self._body.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, len(prompt) - 1 : -1]
        said: Tensor = logits.float().log_softmax(-1)[torch.arange(len(name)), ids[0, len(prompt) :]]
        return said.sum()

    def read(self, prompts: list[list[int]]) -> tuple[Tensor, dict[str, Tensor]]:
        """(b, 3) log-probabilities of the names, and the blocks; those pooled at the decision have one per name."""
        return self._log_p(prompts, self._names, whole=self._whole, pool=True)

    def confidence(self, prompts: list[list[int]], policy: Sequence[int]) -> Tensor:
        """(b,) P(True) after the prompt, the policy's name and the question whether that is right.

        Kadavath et al. 2022, arXiv:2207.05221, section 3: P(True) of a model's own answer. Departs from it: no other
        samples are shown, no examples are given, and P(True) is divided by P(True) + P(False).
        """
        asked = [p + self._names[i] + self._question for p, i in zip(prompts, policy, strict=True)]
        log_p, _ = self._log_p(asked, self._answers, whole=False, pool=False)
        return torch.sigmoid(log_p[:, 0] - log_p[:, 1])

    def _log_p(
        self, prompts: list[list[int]], texts: list[list[int]], *, whole: bool, pool: bool
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(b, k) log P(text | prompt) of k texts, and the blocks where they are wanted.

        Every prompt is read once per different beginning of a text; causal attention makes its states the same in
        each. Vocabulary logits are computed only where a text's token is predicted.
        """
        read = [tuple(text if whole else text[:-1]) for text in texts]
        beginnings = list(dict.fromkeys(read))
        rows = [[*prompt, *beginning] for prompt in prompts for beginning in beginnings]
        last = torch.tensor([len(p) - 1 for p in prompts])
        row = torch.arange(0, len(rows), len(beginnings))
        row_of = row[:, None] + torch.tensor([beginnings.index(text) for text in read])
        decision = (last[:, None] + int(whole)).expand_as(row_of)
        places = Places(row, _first(prompts, self._opening), last, last, last, row_of, decision)
        _, states, vectors = self._body.run(rows, places if pool else None)
        at = [
            (int(row_of[i, j]), len(prompt) - 1 + t, token, i * len(texts) + j)
            for i, prompt in enumerate(prompts)
            for j, text in enumerate(texts)
            for t, token in enumerate(text)
        ]
        rows_at, position, token, target = (torch.tensor(column) for column in zip(*at, strict=True))
        log_p = self._token_log_p(states[rows_at, position], token)
        z = torch.zeros(len(prompts) * len(texts), device=log_p.device)
        z = z.index_add_(0, target.to(log_p.device), log_p)
        return z.view(len(prompts), len(texts)), vectors

    def _token_log_p(self, states: Tensor, token: Tensor) -> Tensor:
        """(m,) float32 log-probability of each token after its state (m, d).

        The token's own logit is computed in float32: near 20, as logits of large vocabularies are, bfloat16 has steps
        of an eighth, and what matters are differences of a few of them. The normaliser sums rounding out.
        """
        output = self._body.model.get_output_embeddings()
        every = self._capped(output(states).float()).logsumexp(1)
        token = token.to(states.device)
        own = (states.float() * output.weight[token].float()).sum(1)
        return self._capped(own if output.bias is None else own + output.bias[token].float()) - every

    def _capped(self, logits: Tensor) -> Tensor:
        """Logits as the checkpoint's own head bounds them."""
        cap = getattr(self._body.model.config.get_text_config(), "final_logit_softcapping", None)
        return logits if cap is None else torch.tanh(logits / cap) * cap


def _first(prompts: list[list[int]], opening: int | None) -> Tensor:
    """First token of each prompt that a mean counts."""
    return torch.tensor([int(len(p) > 1 and p[0] == opening) for p in prompts])
