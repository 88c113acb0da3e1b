"""A sentence encoder beside a language model as the body of a router: what reading costs, and what it is worth.

    minilm        all-MiniLM-L6-v2, its head on the mean of the tokens
    first token   the same, its head on the first token alone
    gemma         Gemma-3-270M, its head on the last token

Cost: the same prompts in one run, float32. Quality: recorded outcomes under the benchmark's protocol, a regularised
routing head on each, the default confidence head and the joint outcome, every difference paired on the same test rows.
Needs the extras `demo` and `encoder`:

    python -m tests.bench.encoder OUTCOMES_FOLDER ROWS SET…

`ROWS` of each set, three divisions with one seed each. Sets that share questions are read once.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.compute
from transformers import AutoTokenizer

from routecal.calib.comparison import mean_over, minus
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.calib.settings import Reading
from routecal.calib.trial import decisions
from routecal.storage.artifact import Artifact, read_table
from routecal.storage.folder_artifact import local_folder
from routecal.tasks.base_models import MINILM, base_folder
from routecal.tasks.benchmark.decision_cells import fit_decisions
from routecal.tasks.benchmark.decision_results import DecisionsScored, read_decisions_scored, score_decisions
from routecal.tasks.benchmark.features import extract_sets, headless
from routecal.tasks.benchmark.fit_cells import fit_router
from routecal.tasks.benchmark.outcome_sets import OutcomeSet, import_sets
from routecal.tasks.benchmark.question_counts import seed_of
from routecal.tasks.extract import extract_shard
from routecal.tasks.make_router import convert_gemma, refer_base
from tests.bench.extraction import prompts
from tests.bench.metrics import shown
from tests.bench.timing import in_turn

N_PROMPTS, LABELS, DIVISIONS = 24, 1000, 3
RULES = {name: decisions.RULES[name] for name in (decisions.JOINT, decisions.CONFIDENCE)}
# By base, the sets in their order. All bases are measured on the same resamples of the same rows.
Found = dict[str, list[DecisionsScored]]


def cost(backbones: dict[str, Artifact]) -> None:
    """Seconds for the same texts, each base with tokens of its own."""
    routers = {
        name: FrozenRouter(local_folder(one), dtype="float32", outcome_layers=None) for name, one in backbones.items()
    }
    tokenizer = AutoTokenizer.from_pretrained(local_folder(backbones["gemma"]))
    texts = prompts(N_PROMPTS, tokenizer)
    efforts = {name: router.read(texts).effort for name, router in routers.items()}  # and warm
    works: dict[str, Any] = {name: (lambda one: lambda: one.read(texts))(router) for name, router in routers.items()}
    times = shown(in_turn(works, n_rounds=2))
    for name, run in times.items():
        effort = efforts[name]
        print(
            f"{name}: {len(texts) / run.seconds:.1f} queries/s, {effort.n_tokens} tokens, "
            f"{effort.n_tokens / run.seconds:,.0f} tokens/s, {effort.flops / 1e9:.1f} GFLOP, "
            f"{times['gemma'].seconds / run.seconds:.2f} x gemma on the clock, "
            f"{times['gemma'].own_cpu_s / run.own_cpu_s:.2f} x in CPU time"
        )


def quality(sets: Sequence[OutcomeSet], backbone: Artifact) -> list[DecisionsScored]:
    """Scores of both rules on every set; prints how often each router was right."""
    features = extract_sets(sets, backbone, Reading(), 250)
    found = []
    for one in sets:
        cells = []
        for division, rows in enumerate(one.divisions):
            router = fit_router.fn(one.name, "regularised", division, rows, features)
            cells.append(
                fit_decisions.fn(one.name, "regularised", division, 0, LABELS, rows, features, router, "rules")
            )
        said = [read_table(cell).filter(pa.compute.field("part") == "test")["is_correct"].to_pylist() for cell in cells]
        print(f"{one.name}: the router was right on {np.mean([np.mean(one) for one in said]):.1%} of the test rows")
        relatives = [other.divisions for other in sets if other.family == one.family]
        found.append(
            read_decisions_scored(
                score_decisions.fn(one.name, "regularised", cells, one.divisions, one.family, relatives)
            )
        )
    return found


def table(found: Found) -> None:
    """A line per set and base, and the differences to gemma over all sets."""
    for i, one in enumerate(found["gemma"]):
        print(f"\n{one.name}: {one.n_labelled:.0f} labels, {one.n} test rows, {one.divisions} divisions")
        for name, scored in found.items():
            seeds = scored[i].rules[decisions.CONFIDENCE].seeds
            stated = [seed.stated["confidence"] for seed in seeds]
            parts = [
                f"ECE {np.mean([s.ece for s in stated]):.3f} (noise {np.mean([s.noise_mean for s in stated]):.3f})"
            ]
            parts += [f"{what} {_value(found, name, [i], *where)}" for what, where in SHOWN.items()]
            print(f"  {name:<12}", " | ".join(parts))
    everything = range(len(found["gemma"]))
    print("\nall sets, and minus gemma, paired")
    for name in found:
        for what, where in SHOWN.items():
            behind = "" if name == "gemma" else f"   {_value(found, name, everything, *where, minus_gemma=True)}"
            print(f"  {name:<12} {what:<34} {_value(found, name, everything, *where)}{behind}")


SHOWN = {
    "Brier of the confidence": (decisions.CONFIDENCE, "Brier, confidence"),
    "area, joint outcome": (decisions.JOINT, "area"),
    "area, confidence": (decisions.CONFIDENCE, "area"),
}


def _value(found: Found, name: str, at: Sequence[int], rule: str, metric: str, *, minus_gemma: bool = False) -> str:
    parts = [found[name][i].rules[rule].resampled[metric] for i in at]
    if minus_gemma:
        parts = [minus(a, found["gemma"][i].rules[rule].resampled[metric]) for a, i in zip(parts, at, strict=True)]
    estimate = mean_over(parts, seeds=[seed_of(found[name][i].name) for i in at])
    return f"{estimate.value:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]"


def first_token(folder: Path) -> Artifact:
    """The encoder as if it had been trained to be read by its first token."""
    shutil.copytree(base_folder(MINILM), folder)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "cls"}))
    return refer_base(str(folder))


def main(data: str, rows: int, names: list[str]) -> int:
    """Print both."""
    with tempfile.TemporaryDirectory() as scratch, patch("routecal.tasks.extract.extract_shard", extract_shard.fn):
        os.environ["ROUTECAL_HOME"] = str(Path(scratch, "home"))
        bases = {"minilm": refer_base(MINILM), "first token": first_token(Path(scratch, "first"))}
        backbones = {name: headless.fn(base) for name, base in {**bases, "gemma": convert_gemma.fn()}.items()}
        cost(backbones)
        sets = import_sets(data, names=names, rows=rows, divisions=DIVISIONS)
        for one in sets:
            print(f"{one.name}: {read_table(one.rows).num_rows} rows")
        with patch.object(decisions, "RULES", RULES):
            found: Found = {}
            for name, backbone in backbones.items():
                print(f"\n{name}")
                found[name] = quality(sets, backbone)
            table(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
