"""Reading queries with the real Gemma-3-270M, against the obvious ways, on the same prompts in one run.

    naive     transformers' causal model with `output_hidden_states`, float32, eight prompts at a time as they come
    plain     the same backbone without its language head, float32, eight at a time
    pipeline  transformers' feature-extraction pipeline, float32, one prompt at a time
    ours      `FrozenRouter.read` in float32, and in the checkpoint's own dtype where the processor has it
    causal    a router that says the policy's name, after a template, against reading every name with its prompt

Prompts are fact sheets and questions of the demo, 20 to 300 tokens, half of them below 70, in no order. Needs the extra
`demo`. `python -m tests.bench.extraction 12` reads twelve of them: three minutes on two free cores; 48 take ten.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

from routecal.calib.router.checkpoint import attach_routing_head
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.storage.folder_artifact import local_folder
from routecal.tasks.make_router import convert_gemma
from routecal.tasks.worldfacts import world_facts
from tests.bench.bars import Bar, constant, report
from tests.bench.metrics import shown
from tests.bench.timing import in_turn

TEMPLATE = (
    "You are a router. Decide which model should answer the question below: Standard_Query if an ordinary model will "
    "do, Complex_Query if it takes a large one, Ambiguous_Query if neither can.\n\nQuestion: {query}\nDecision: "
)


def prompts(n: int, tokenizer: Any) -> list[str]:
    """Texts whose lengths are spread evenly by their logarithm over 20 to 300 tokens."""
    facts = world_facts(40 * n, seed=0)
    text = " ".join(f"{fact.query} {fact.context or ''}" for fact in facts)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    rng, at, found = np.random.default_rng(0), 0, []
    for length in np.exp(rng.uniform(np.log(20), np.log(300), n)).astype(int):
        found.append(tokenizer.decode(ids[at : at + length]))
        at = (at + length) % (len(ids) - 400)
    return found


def naive(model: Any, tokenizer: Any, texts: list[str], *, head: bool) -> NDArray[np.float32]:
    """(n, d) last state at the last token."""
    found = []
    for start in range(0, len(texts), 8):
        batch = tokenizer(texts[start : start + 8], return_tensors="pt", padding=True, padding_side="right")
        with torch.no_grad():
            if head:
                states = model(**batch, output_hidden_states=True).hidden_states[-1]
            else:
                states = model.base_model(**batch).last_hidden_state
        last = batch["attention_mask"].sum(1) - 1
        found.append(states[torch.arange(len(last)), last].float().numpy())
    return np.concatenate(found)


def main(n: int) -> int:
    """Print a table; 1 where a bar is missed."""
    base = local_folder(convert_gemma.fn())
    tokenizer = AutoTokenizer.from_pretrained(base)
    texts = prompts(n, tokenizer)
    weights = np.random.default_rng(0).normal(size=(3, 640)).astype(np.float32)
    with tempfile.TemporaryDirectory() as scratch:
        attach_routing_head(base, weights, Path(scratch))
        whole = FrozenRouter(Path(scratch), dtype="float32")
        native = FrozenRouter(Path(scratch))
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    features = pipeline("feature-extraction", model=model.base_model, tokenizer=tokenizer)
    saying, again = (FrozenRouter(base, template=TEMPLATE, dtype="float32") for _ in range(2))
    again.reader.body.stop_reusing()
    few = texts[:: max(n // 12, 1)]
    works: dict[str, Callable[[], object]] = {
        "naive": lambda: naive(model, tokenizer, texts, head=True),
        "plain": lambda: naive(model, tokenizer, texts, head=False),
        "pipeline": lambda: [features(text) for text in texts],
        "ours, float32": lambda: whole.read(texts),
        "ours, native": lambda: native.read(texts),
        "causal, kept": lambda: saying.read(few),
        "causal, whole": lambda: again.read(few),
    }
    times = shown(in_turn(works, n_rounds=2))
    ratio = {name: times["naive"].seconds / run.seconds for name, run in times.items()}
    read, states = whole.read(texts), naive(model, tokenizer, texts, head=True)
    cosine = (read.hidden * states).sum(1) / np.linalg.norm(read.hidden, axis=1) / np.linalg.norm(states, axis=1)
    same = (saying.read(few).policy == again.read(few).policy).mean()
    effort = native.read(texts).effort
    share = effort.flops / times["ours, native"].seconds / native.ceiling
    constant("tokens of a prompt", effort.n_tokens / n)
    constant("FLOP of a token", effort.flops / effort.n_tokens)
    constant("tokens/s on two cores", effort.n_tokens / times["ours, native"].seconds)
    has_bf16 = native._model.dtype == torch.bfloat16
    dtype = "bf16" if has_bf16 else "float32: no bf16 here"
    print(
        f"\n{n} prompts, {effort.n_tokens} tokens, {torch.get_num_threads()} threads: {effort.sentence(native.ceiling)}"
    )
    bars = [
        Bar(f"times as fast as naive, {dtype}", ratio["ours, native"], 8.0 if has_bf16 else 5.0),
        Bar("times as fast as naive, float32", ratio["ours, float32"], 5.0),
        Bar("times as fast as the pipeline, float32", times["pipeline"].seconds / times["ours, float32"].seconds, 2.0),
        Bar(f"share of the matrix ceiling, {dtype}", share, 0.6),
        Bar("smallest cosine with the naive states", float(cosine.min()), 0.9999),
        Bar("share of decisions equal to the naive ones", _equal(read.logits, states, weights), 0.999),
        Bar(
            "causal router: times as fast as with every name",
            times["causal, whole"].seconds / times["causal, kept"].seconds,
            2.0,
        ),
        Bar("causal router: share of decisions equal", float(same), 0.999),
    ]
    return report(bars)


def _equal(logits: NDArray[np.float32], states: NDArray[np.float32], weights: NDArray[np.float32]) -> float:
    """Whether the head decides on our states as on the naive ones."""
    return float((logits.argmax(1) == (states @ weights.T).argmax(1)).mean())


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 48))
