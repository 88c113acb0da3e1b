"""Does the serving head still hold? What labels of earlier nights say, and what new queries look like without any."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from routecal.calib.checks import FloatArray
from routecal.calib.head import LoadedHead
from routecal.calib.need import goes_to_large
from routecal.calib.night.head_health import Health, examine
from routecal.calib.night.outcome_shift import OutcomeShift, outcome_shift
from routecal.calib.night.query_drift import Drift, columns, drift, principal_axes
from routecal.calib.outcome.outcome_folder import load_outcome_head
from routecal.calib.serving_rule import ServingRule
from routecal.storage.artifact import Artifact, read_table
from routecal.storage.example_join import rows_of
from routecal.storage.folder_artifact import local_folder
from routecal.tasks.cache import step
from routecal.tasks.load_examples import policy_index, vectors_of
from routecal.tasks.night.label_history import NightRows
from routecal.tasks.train import open_head

_CODE = (
    "tasks.load_examples",
    "storage.example_join",
    "calib.night.query_drift",
    "calib.night.head_health",
    "calib.night.outcome_shift",
    "calib.head",
    "calib.outcome.outcome_folder",
    "calib.serving_rule",
)


@step("check champion", "check the serving head", on=_CODE)
def check_champion(
    champion: Artifact, learned: NightRows, window: NightRows | None, new: Artifact | None, seed: int
) -> Health:
    """Calibration of the serving head on held-out rows, and drift of new queries.

    Args:
        champion: the calibrated router that serves.
        learned: the rows that it learned from.
        window: the newest held-out rows; None if there are none yet.
        new: features of new queries; None if there are none.
        seed: of the bootstrap.
    """
    head = open_head(champion, learned.features)
    query_drift = None if new is None else _drift(head, learned, new)
    if window is None:
        return examine([], [], drift=query_drift, seed=seed)
    p, y = predict(head, window)
    return examine(p, y, drift=query_drift, escalated=decisions(champion, window).escalated, seed=seed)


@step("check oracle", "compare tonight's outcomes with earlier ones", on=_CODE)
def check_oracle(champion: Artifact, before: NightRows, now: NightRows) -> OutcomeShift:
    """Whether outcomes changed, on rows that the serving head has not learned from.

    Args:
        champion: the calibrated router that serves.
        before: held-out rows of earlier nights.
        now: tonight's rows, of all splits: none has taught a head yet.
    """
    head = open_head(champion, now.features)
    return outcome_shift(predict(head, before), predict(head, now), _outcomes(before), _outcomes(now))


def predict(head: LoadedHead, rows: NightRows) -> tuple[FloatArray, FloatArray]:
    """(p, y) of rows that the head has not learned from."""
    examples = read_table(rows.examples, columns=["query_id", "is_correct"])
    hidden, logits = arrays(rows.features, examples["query_id"], head)
    y = np.asarray(examples["is_correct"].to_pylist(), dtype=np.float64)
    return head.confidence(hidden, logits), y


def arrays(
    features: Artifact, query_ids: pa.ChunkedArray | None, head: LoadedHead
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(hidden, logits) of these queries, or of all, in the blocks that the head reads."""
    table = read_table(features, columns=["query_id", "logits", *head.blocks])
    if query_ids is not None:
        table = rows_of(table, query_ids)
    hidden = np.concatenate([vectors_of(table[name]) for name in head.blocks], axis=1)
    return hidden.astype(np.float32), np.array(table["logits"].to_pylist(), np.float32)


class Decisions(NamedTuple):
    """What a packed head does with n rows.

    Attributes:
        escalated: (n,) it sends the query to the large model.
        wrong: (n,) it would be wrong to keep the query: by confidence, the router's policy is not the true one; by the
            gain, the query needs the large model.
    """

    escalated: NDArray[np.bool_]
    wrong: NDArray[np.bool_]


def decisions(calibrated: Artifact, rows: NightRows) -> Decisions:
    """What a calibrated router does with rows, by the rule that it serves by."""
    head, folder = open_head(calibrated, rows.features), local_folder(calibrated)
    rule = ServingRule.model_validate(head.config["lineage"]["serving"])
    p, y = predict(head, rows)
    facts = read_table(rows.examples, columns=["query_id", "true_policy", "n_tokens"])
    if rule.decides_by == "confidence":
        return Decisions(rule.escalates(p, None, facts["n_tokens"].to_numpy()), y == 0)
    outcome_head = load_outcome_head(folder)
    table = rows_of(read_table(rows.features, columns=["query_id", "logits", *outcome_head.blocks]), facts["query_id"])
    blocks = {name: vectors_of(table[name]).astype(np.float32) for name in outcome_head.blocks}
    told = outcome_head.probabilities(blocks, np.array(table["logits"].to_pylist(), np.float32))
    needs_large = goes_to_large(policy_index(facts["true_policy"]), rule.policy_map)
    return Decisions(rule.escalates(p, outcome_head.cells.gain(told), facts["n_tokens"].to_numpy()), needs_large)


def share_escalated(calibrated: Artifact, rows: NightRows) -> float:
    """Share of the rows that a calibrated router sends to the large model, by the rule that it serves by."""
    return float(decisions(calibrated, rows).escalated.mean())


def _drift(head: LoadedHead, learned: NightRows, new: Artifact) -> Drift:
    ids = read_table(learned.examples, columns=["query_id"])["query_id"]
    before, now = arrays(learned.features, ids, head), arrays(new, None, head)
    axes = principal_axes(before[0])
    table = [columns(*side, head.confidence(*side), axes=axes) for side in (before, now)]
    return drift(table[0], table[1])


def _outcomes(rows: NightRows) -> list[str]:
    """Both grades of each row, or its true policy where only that is known."""
    table = read_table(rows.examples, columns=["medium_grade", "large_grade", "true_policy"])
    return [
        row["true_policy"] if row["medium_grade"] is None else f"{row['medium_grade']} / {row['large_grade']}"
        for row in table.to_pylist()
    ]
