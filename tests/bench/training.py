"""What training does against its bars, on this machine, in this run: `python -m tests.bench.training [total | …]`.

    total    SFT + RL of the default heads on 1,000 and on 100,000 labelled rows of 640 numbers, early stopping on
    loader   epochs of SFT against the same maths behind a DataLoader, batch 1,024
    draws    an RL step with 16 confidences per row against one that repeats the features 16 times
    outcome  the outcome head against the confidence head, SFT + RL, on the same 1,000 labelled rows

The ratios are of two things done in turn, so that what else the machine does meets both. The seconds are bars on a free
machine: where others took more than a twentieth of the cores during every run, the CPU time of our own single thread is
what counts, and the table says so. Takes about two minutes on two free cores, and 1.5 GB.
"""

import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from routecal.calib.examples import Examples
from routecal.calib.head import ConfidenceHead, HeadConfig
from routecal.calib.learn import recipe, rl, sft
from routecal.calib.learn.confidence_policy import LogitNormal
from routecal.calib.learn.cross_fit import Deal
from routecal.calib.learn.recipe import Recipe
from routecal.calib.learn.rl import RLConfig
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.learn.training_loop import TrainingRows, adamw, prepare, threads_for, update
from routecal.calib.outcome.cells import Cells
from routecal.calib.outcome.fit import fit_outcome
from routecal.calib.policy import OracleMatrix
from tests.bench.bars import Bar, report
from tests.bench.metrics import shown
from tests.bench.timing import QUIET, Run, in_turn
from tests.calib.made import fit

WIDTH = 640
BATCH = 1024
DRAWS = 16
EPOCHS = 5


def made(n: int, *, seed: int = 0) -> Examples:
    """n rows of WIDTH numbers, half of them training, .3 calibration, .2 validation; both views carry some signal."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n, WIDTH), dtype=np.float32)
    logits = rng.normal(0, 1.5, (n, 3)).astype(np.float32)
    policy, ordered = logits.argmax(axis=1), np.sort(logits, axis=1)
    direction = np.random.default_rng(99).standard_normal(WIDTH) / np.sqrt(WIDTH)
    z = 0.5 * (ordered[:, 2] - ordered[:, 1]) + hidden @ direction
    right = rng.random(n) < 1 / (1 + np.exp(-z))
    splits = np.repeat(["train", "calibration", "validation"], [n - 3 * n // 10 - n // 5, 3 * n // 10, n // 5])
    return Examples(hidden, logits, policy, np.where(right, policy, (policy + 1) % 3), rng.permutation(splits))


def total() -> list[Bar]:
    """Both stages from nothing, as `routecal train` runs them: a head for each of five folds, and one."""
    bars = []
    for n, limit, n_rounds in ((1_000, 5.0, 3), (100_000, 90.0, 1)):
        deal = Deal.of(made(n))
        what = f"SFT + RL on {n:,} x {WIDTH}, heads: {len(deal.turns())}"
        time = shown(in_turn({what: partial(recipe.fit, Recipe(), deal)}, n_rounds=n_rounds))[what]
        bars.append(Bar(f"seconds of {what} ({_clock(time)})", _seconds(time), limit, is_limit=True))
    return bars


def loader() -> list[Bar]:
    """Epochs over 50,000 rows: our loop with its start, records and validation, against a plain loop with none."""
    rows = made(100_000)
    train, validation = rows.only("train"), rows.only("validation").where(np.arange(20_000) < 500)

    def head() -> ConfidenceHead:
        new = ConfidenceHead(HeadConfig(width=WIDTH))
        prepare(new, train, validation)
        return new

    ours, theirs, from_inputs = head(), head(), head()
    cfg = SFTConfig(epochs=EPOCHS, batch=BATCH, patience=EPOCHS)

    def by_loader(
        trained: ConfidenceHead, columns: tuple[torch.Tensor, ...], forward: Callable[..., torch.Tensor]
    ) -> None:
        optimiser, rng = (
            torch.optim.AdamW(trained.parameters(), lr=cfg.lr, weight_decay=cfg.weight_decay),
            torch.Generator(),
        )
        rows = DataLoader(TensorDataset(*columns), batch_size=BATCH, shuffle=True, generator=rng)
        for _ in range(EPOCHS):
            for first, second, y in rows:
                update(optimiser, (forward(first, second, generator=rng).sigmoid() - y).square().mean())

    raw = tuple(map(torch.from_numpy, (train.hidden, train.logits, train.y)))
    inputs = TrainingRows.of(train, from_inputs)
    with threads_for(ours):
        times = shown(
            in_turn(
                {
                    "ours": lambda: fit(sft.steps, ours, train, validation, cfg),
                    "DataLoader": lambda: by_loader(theirs, raw, theirs),
                    "DataLoader over inputs": lambda: by_loader(
                        from_inputs, (inputs.x, inputs.offset, inputs.y), from_inputs.logit
                    ),
                },
                n_rounds=3,
            )
        )
    return [
        Bar(
            f"{EPOCHS} epochs of SFT at batch {BATCH:,}: {name} over ours",
            times[name].seconds / times["ours"].seconds,
            1.3,
        )
        for name in ("DataLoader", "DataLoader over inputs")
    ]


def draws() -> list[Bar]:
    """A step of the default RL loss on one batch, without records on either side."""
    rows, cfg = made(2 * BATCH).only("train"), RLConfig(draws=DRAWS)
    head = ConfidenceHead(HeadConfig(width=WIDTH))
    prepare(head, rows, rows)
    batch, rng = TrainingRows.of(rows, head), torch.Generator().manual_seed(0)
    optimiser = adamw(head, lr=cfg.lr, weight_decay=cfg.weight_decay)
    policy = LogitNormal()

    def ours() -> None:
        z = head.logit(batch.x, batch.offset, generator=rng)
        update(optimiser, rl.estimate(z, batch.y, cfg, rng, policy=policy).loss)

    def repeated() -> None:
        x, offset, y = (column.repeat_interleave(DRAWS, dim=0) for column in (batch.x, batch.offset, batch.y))
        z = head.logit(x, offset, generator=rng)
        drawn = policy.draw(z.detach(), 1, rng)[0]  # (b * k,), one per copy of a row
        r = cfg.reward_function(drawn.sigmoid(), y).view(-1, DRAWS)
        adv = (r - (r.sum(1, keepdim=True) - r) / (DRAWS - 1)).flatten()
        update(optimiser, -(adv * policy.log_prob(drawn, z)).mean())

    with threads_for(head):
        times = shown(in_turn({"ours": ours, "features repeated": repeated}, n_rounds=10))
    ratio = times["features repeated"].seconds / times["ours"].seconds
    return [Bar(f"an RL step, {DRAWS} draws at batch {BATCH:,}: features repeated over ours", ratio, 8)]


def outcome() -> list[Bar]:
    """Both heads of a calibration from nothing, each cross-fitted, on the same rows."""
    rows = made(1_000)
    deal, cells = Deal.of(rows), Cells.of(OracleMatrix())
    # What both models get right lies along a few strong directions of the state, as components of a real one do.
    rng = np.random.default_rng(0)
    told = rng.standard_normal((1_000, 20)) * 4
    hidden = (0.2 * rows.hidden + told @ rng.standard_normal((20, WIDTH)) / 5).astype(np.float32)
    medium, large = (told[:, k] / 2 + rng.logistic(size=1_000) > 0 for k in (0, 1))
    cell = np.where(medium, np.where(large, 0, 1), np.where(large, 2, 3 + rng.integers(2, size=1_000)))
    fold = np.arange(1_000) % 5
    times = shown(
        in_turn(
            {
                "confidence head": partial(recipe.fit, Recipe(), deal),
                "outcome head": lambda: fit_outcome({"state": hidden}, rows.logits, cell, fold, cells),
            },
            n_rounds=3,
        )
    )
    ratio = times["outcome head"].own_cpu_s / times["confidence head"].own_cpu_s
    return [
        Bar("CPU seconds of the outcome head over those of the confidence head, 1,000 rows", ratio, 1.5, is_limit=True)
    ]


def _seconds(time: Run) -> float:
    return time.seconds if time.others <= QUIET else time.own_cpu_s


def _clock(time: Run) -> str:
    return "clock" if time.others <= QUIET else f"CPU: others had {time.others:.0%}"


PARTS: dict[str, Callable[[], list[Bar]]] = {"total": total, "loader": loader, "draws": draws, "outcome": outcome}


def main(names: list[str]) -> int:
    """Measure the named parts, or all; print the table bar | measured | wanted and return 1 where one is missed."""
    return report([bar for name in names or PARTS for bar in PARTS[name]()])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
