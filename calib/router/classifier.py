"""A frozen router whose head classifies."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from routecal.calib.checkpoint_errors import RouterUnusable
from routecal.calib.router.body import Body
from routecal.calib.router.pooling import Places, first_counted

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
        self.body, self._order, self._opening = body, list(order), opening
        config = body.model.config
        self._pad, self._eos = config.get_text_config().pad_token_id, config.eos_token_id
        score = getattr(body.model, "score", None)
        self._score = score if body.causal and isinstance(score, torch.nn.Linear) else None
        self.pooling: Read = "last_token" if self._score is not None else _read_by_head(body.model, sample, path)

    @property
    def score(self) -> tuple[Tensor, Tensor] | None:
        """Weights (3, d) and intercepts (3,) of the logits, in the order of `POLICIES`; None where they are not linear
        in the state at the last token."""
        if self._score is None:
            return None
        weight: Tensor = self._score.weight.detach()[self._order]
        bias = self._score.bias
        return weight, weight.new_zeros(3) if bias is None else bias.detach()[self._order]

    def pieces(self, prompt: list[int]) -> list[tuple[int, int]]:
        """What is computed to read the prompt: so many tokens, after so many that were read before."""
        before = 0 if self._score is None else self.body.shared_tokens(prompt)
        return [(len(prompt) - before, before)]

    def alike(self, prompt: list[int]) -> tuple[int, ...]:
        """BART's head wants rows with the same number of end-of-sequence tokens."""
        return prompt.count(self._eos) if self.pooling == "last_eos" else 0, self.body.shared_tokens(prompt)

    def read(self, prompts: list[list[int]]) -> tuple[Tensor, dict[str, Tensor]]:
        """(b, 3) logits in the order of `POLICIES`, and the blocks (b, 1, d)."""
        row = torch.arange(len(prompts))
        last = torch.tensor([len(p) - 1 for p in prompts])
        read = torch.tensor([self._place(p) for p in prompts])
        read_first = torch.zeros_like(read) if self.pooling == "mean" else read
        at = Places(row, first_counted(prompts, self._opening), last, read_first, read, row[:, None], read[:, None])
        ran = self.body.run(prompts, at, whole=self._score is None)
        # The head reads one token; transformers would apply it to all, and look for padding to find that one.
        logits = ran.output.logits if self._score is None else self._score(ran.states[row, read])
        return logits[:, self._order], ran.vectors

    def own(self, prompt: list[int]) -> Tensor:
        """(3,) logits by the model's own forward pass on one row."""
        ids = torch.tensor([prompt], device=self.body.model.device)
        logits: Tensor = self.body.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
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
