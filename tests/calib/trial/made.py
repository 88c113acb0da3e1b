"""Made worlds of decisions: what is known of a query, and how both models fare on it."""

from typing import NamedTuple

import numpy as np

from routecal.calib.checks import FloatArray
from routecal.calib.escalation.outcomes import Outcomes
from routecal.calib.examples import Examples
from routecal.calib.outcome.cells import Cells
from routecal.calib.policy import OracleMatrix
from routecal.calib.trial.decision_rows import DecisionRows

CELLS = Cells.of(OracleMatrix())


class World(NamedTuple):
    """Labelled and test rows, and how the test rows turn out."""

    rows: DecisionRows
    test: Outcomes
    correct: FloatArray


def world(n: int = 400, n_test: int = 600, *, seed: int = 0) -> World:
    """Two kinds of hard queries: the large model is right on one, on the other neither is."""
    rng = np.random.default_rng(seed)
    total = n + n_test
    hidden = rng.normal(0, 1, (total, 8)).astype(np.float32)
    hard = rng.random(total) < 1 / (1 + np.exp(-2.5 * hidden[:, 0]))
    hopeless = rng.random(total) < 1 / (1 + np.exp(-4 * hidden[:, 1]))
    cell = np.select([~hard, ~hopeless], [0, 2], 3)
    logits = np.column_stack([-hidden[:, 0], hidden[:, 0], np.zeros(total)]).astype(np.float32)
    logits += rng.normal(0, 0.5, logits.shape).astype(np.float32)
    policy, true = logits.argmax(axis=1), np.array(CELLS.policy)[cell]
    split = np.array(["train", "calibration", "validation"])[rng.choice(3, n, p=[0.6, 0.2, 0.2])]
    labelled = Examples(hidden[:n], logits[:n], policy[:n], true[:n], split, share=rng.random(n))
    test = Examples(hidden[n:], logits[n:], policy[n:], np.zeros(n_test, np.int64), np.full(n_test, "test"))
    rows = DecisionRows.of(labelled, test, {"b": hidden[:n]}, {"b": hidden[n:]}, CELLS, cell[:n])
    medium, large = (np.array(right, np.float64)[cell[n:]] for right in (CELLS.medium, CELLS.large))
    outcomes = Outcomes(medium, large, np.ones(n_test), np.full(n_test, 20.0))
    return World(rows, outcomes, (policy[n:] == true[n:]).astype(np.float64))
