"""Does the serving head still hold? What labels of earlier nights say, and what new queries look like without any."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from routecal.calib.checks import FloatArray
from routecal.calib.head import LoadedHead
from routecal.calib.night.head_health import Health, examine
from routecal.calib.night.outcome_shift import OutcomeShift, outcome_shift
from routecal.calib.night.query_drift import Drift, columns, drift, principal_axes
from routecal.storage.artifact import Artifact, read_table
from routecal.storage.example_join import rows_of
from routecal.tasks.cache import step
from routecal.tasks.load_examples import vectors_of
from routecal.tasks.night.label_history import NightRows
from routecal.tasks.train import open_head

_CODE = (
    "tasks.load_examples",
    "storage.example_join",
    "calib.night.query_drift",
    "calib.night.head_health",
    "calib.night.outcome_shift",
    "calib.head",
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
    p, y = predict(head, window) if window is not None else (np.empty(0), np.empty(0))
    return examine(p, y, drift=query_drift, threshold=threshold_of(head), seed=seed)


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


def share_escalated(calibrated: Artifact, rows: NightRows) -> float:
    """Share of the rows whose confidence lies below the threshold."""
    head = open_head(calibrated, rows.features)
    return float((predict(head, rows)[0] < threshold_of(head)).mean())


def threshold_of(head: LoadedHead) -> float:
    """Confidence below which a packed head escalates."""
    return float(head.config["lineage"]["serving"]["threshold"])


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
