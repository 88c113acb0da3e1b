"""A frozen router that says the policy's name."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from routecal.calib.policy import POLICIES
from routecal.calib.router.body import Body
from routecal.calib.router.pooling import Places, first_counted
from routecal.calib.router.window import sliding_window

# Asked after the router's own decision; its answer is P(True) / (P(True) + P(False)).
QUESTION = "\nIs this routing decision right? True/False\nAnswer:"
ANSWERS = (" True", " False")


class _Read(NamedTuple):
    """States of prompts and of what goes on from them, all rows in one, and where they are.

    Attributes:
        states: (m, d).
        first: (b, k) the one that predicts the first token of every text.
        more: (b, k) that of the t-th token is at more + t.
        vectors: the blocks.
    """

    states: Tensor
    first: Tensor
    more: Tensor
    vectors: dict[str, Tensor]


class Speaker:
    """Logits by what a causal language model would say: log P(name | prompt), the sum over the name's tokens.

    Args:
        body: of a causal checkpoint.
        tokenizer: its tokenizer.
    """

    pooling = "last_token"
    # A name is said in several tokens: no product of one state.
    score = None

    def __init__(self, body: Body, tokenizer: Any) -> None:
        self.body, self._opening = body, tokenizer.bos_token_id

        def ids(text: str) -> list[int]:
            return list(tokenizer(text, add_special_tokens=False)["input_ids"])

        self._names = [ids(policy.value) for policy in POLICIES]
        self._sight = sliding_window(body.model)
        self._question, self._answers = ids(QUESTION), [ids(answer) for answer in ANSWERS]
        # A name's last token is read only where the state at it is wanted.
        self._whole = any(block.pooling == "decision" for block in body.blocks)
        self.spare = max(map(len, self._names))
        self.spare_verbal = self.spare + len(self._question) + max(map(len, self._answers))

    def pieces(self, prompt: list[int]) -> list[tuple[int, int]]:
        """What is computed to read the prompt: so many tokens, after so many that were read before."""
        names = [len(beginning) for beginning in _beginnings(self._names, whole=self._whole)]
        if not self.body.reuses:
            return [(len(prompt) + name, 0) for name in names]
        before = self.body.shared_tokens(prompt)
        return [(len(prompt) - before, before), *((name, len(prompt)) for name in names if name)]

    def alike(self, prompt: list[int]) -> tuple[int, ...]:
        """Of one length where a layer does not see all of a row: it counts padding among what it looks back at."""
        is_seen = len(prompt) + self.spare_verbal <= self._sight or not self.body.reuses
        return 0 if is_seen else len(prompt), self.body.shared_tokens(prompt)

    def own(self, prompt: list[int]) -> Tensor:
        """(3,) log-probabilities of the names by the model's own forward pass, one row a name."""
        return torch.stack([self._own(prompt, name) for name in self._names])

    def _own(self, prompt: list[int], name: list[int]) -> Tensor:
        ids = torch.tensor([prompt + name], device=self.body.model.device)
        logits = self.body.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, len(prompt) - 1 : -1]
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

        Different beginnings of the texts are read after the prompt's keys and values, or with the prompt again where
        those are not kept. Vocabulary logits are computed only where a text's token is predicted.
        """
        beginnings = _beginnings(texts, whole=whole)
        place = torch.tensor([beginnings.index(tuple(text if whole else text[:-1])) for text in texts])
        reads = self._after_each if self.body.reuses and any(beginnings) else self._with_each
        read = reads(prompts, beginnings, place, pool=pool)
        at = [
            (int(read.more[i, j]) + t if t else int(read.first[i, j]), token, i * len(texts) + j)
            for i in range(len(prompts))
            for j, text in enumerate(texts)
            for t, token in enumerate(text)
        ]
        position, token, target = (torch.tensor(column) for column in zip(*at, strict=True))
        log_p = self._token_log_p(read.states[position], token)
        z = torch.zeros(len(prompts) * len(texts), device=log_p.device)
        z = z.index_add_(0, target.to(log_p.device), log_p)
        return z.view(len(prompts), len(texts)), read.vectors

    def _after_each(
        self, prompts: list[list[int]], texts: list[tuple[int, ...]], place: Tensor, *, pool: bool
    ) -> _Read:
        """Prompts, then each text after the keys and values of each prompt; `place` (k,) of every name in `texts`."""
        row = torch.arange(len(prompts))
        at, start = self._places(prompts, row), row[:, None] * len(texts) + place
        before = self.body.run(prompts, at if pool else None, keep=True)
        after = self.body.go_on(before, texts, at.decided(start, torch.zeros_like(start)) if pool else None)
        n, width = before.states.shape[1], after.states.shape[1]
        states = torch.cat([before.states.flatten(0, 1), after.states.flatten(0, 1)])
        first = (row * n + at.last)[:, None].expand_as(start)
        return _Read(states, first, len(prompts) * n + start * width - 1, before.vectors | after.vectors)

    def _with_each(self, prompts: list[list[int]], texts: list[tuple[int, ...]], place: Tensor, *, pool: bool) -> _Read:
        """The same, every text with its prompt again."""
        rows = [[*prompt, *text] for prompt in prompts for text in texts]
        row = torch.arange(0, len(rows), len(texts))
        at, start = self._places(prompts, row), row[:, None] + place
        at = at.decided(start, (at.last[:, None] + int(self._whole)).expand_as(start))
        ran = self.body.run(rows, at if pool else None)
        first = start * ran.states.shape[1] + at.last[:, None]
        return _Read(ran.states.flatten(0, 1), first, first, ran.vectors)

    def _places(self, prompts: list[list[int]], row: Tensor) -> Places:
        """Of prompts in these rows of a batch; decisions are at the last token until they are `decided`."""
        last = torch.tensor([len(p) - 1 for p in prompts])
        return Places(row, first_counted(prompts, self._opening), last, last, last, row[:, None], last[:, None])

    def _token_log_p(self, states: Tensor, token: Tensor) -> Tensor:
        """(m,) float32 log-probability of each token after its state (m, d).

        The token's own logit is computed in float32: near 20, as logits of large vocabularies are, bfloat16 has steps
        of an eighth, and what matters are differences of a few of them. The normaliser sums rounding out.
        """
        output = self.body.model.get_output_embeddings()
        every = self._capped(output(states).float()).logsumexp(1)
        token = token.to(states.device)
        own = (states.float() * output.weight[token].float()).sum(1)
        return self._capped(own if output.bias is None else own + output.bias[token].float()) - every

    def _capped(self, logits: Tensor) -> Tensor:
        """Logits as the checkpoint's own head bounds them."""
        cap = getattr(self.body.model.config.get_text_config(), "final_logit_softcapping", None)
        return logits if cap is None else torch.tanh(logits / cap) * cap


def _beginnings(texts: list[list[int]], *, whole: bool) -> list[tuple[int, ...]]:
    """What is read of texts, each once: a last token is predicted, and read only where its own state is wanted."""
    return list(dict.fromkeys(tuple(text if whole else text[:-1]) for text in texts))
