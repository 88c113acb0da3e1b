"""The contest: which of tonight's heads stands against the serving one, and whether it may take its place."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from prefect import task

from calib.cross_fit import unseen
from calib.examples import LABELLED
from calib.gate import GateRules, Verdict, decide
from calib.metrics import brier
from storage.artifact import Artifact, read_table
from tasks.cache import STORED, cache_on
from tasks.examples import load_examples
from tasks.night.health import told
from tasks.night.known import Rows
from tasks.train import open_head

# Topics of fewer held-out rows have no veto, so they need no slice.
_CUTS = ("router_policy", "topic")


@task(
    name="choose candidate",
    cache_policy=cache_on(__name__, "tasks.examples", "calib.cross_fit", "calib.head", "calib.metrics.proper"),
    **STORED,
)
def choose_candidate(tonight: Rows, heads: Mapping[str, Artifact]) -> str:
    """The name of the head of least Brier on tonight's labelled rows, each told by members that it did not teach.

    Held-out rows have no say: they judge the one that is chosen.
    """
    found = {}
    for name, artifact in heads.items():
        head = open_head(artifact, tonight.features)
        data = load_examples(tonight.examples, tonight.features, blocks=head.blocks).only(*LABELLED)
        found[name] = brier(head.recalibrator(unseen(head.head, data)), data.y)
    return min(found, key=lambda name: (found[name], name))


@task(
    name="gate",
    cache_policy=cache_on(__name__, "tasks.night.health", "storage.examples", "calib.gate", "calib.head"),
    **STORED,
)
def judge(candidate: Artifact, champion: Artifact | None, window: Rows, rules: GateRules, seed: int) -> Verdict:
    """The candidate against the serving head on held-out rows, whole and by policy and topic."""
    p, y = told(open_head(candidate, window.features), window)
    other = None if champion is None else told(open_head(champion, window.features), window)[0]
    return decide(p, other, y, slices=_slices(window, rules.min_slice), rules=rules, seed=seed)


def fewest_of_a_class(rows: Rows) -> int:
    """Rows on which the router is right, or wrong, whichever are fewer."""
    right = read_table(rows.examples, columns=["is_correct"])["is_correct"].to_pylist()
    return min(sum(right), len(right) - sum(right))


def _slices(window: Rows, at_least: int) -> dict[str, NDArray[np.bool_]]:
    table = read_table(window.examples, columns=list(_CUTS))
    masks = {}
    for cut in _CUTS:
        values = np.array([value or "" for value in table[cut].to_pylist()], np.str_)
        for value in np.unique(values):
            mask = values == value
            # A slice that is all rows has been judged.
            if value and at_least <= mask.sum() < len(values):
                masks[f"{cut.replace('_', ' ')} {value}"] = mask
    return masks
