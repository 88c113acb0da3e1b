"""Which decisions and which feedback there are, of this process and of those before it."""

from pathlib import Path

import pyarrow as pa

from routecal.storage.served.journal import read_served
from routecal.storage.served.tables import DECISIONS, FEEDBACK


class KnownIds:
    """Ids, each as its 16 bytes.

    Args:
        log: folder of the decision log.
    """

    def __init__(self, log: Path) -> None:
        self._decisions = _ids(log / "decisions", DECISIONS, "decision_id")
        self._feedback = _ids(log / "feedback", FEEDBACK, "feedback_id")

    def add_decision(self, decision_id: str) -> None:
        """One that is written down."""
        self._decisions.add(bytes.fromhex(decision_id))

    def add_feedback(self, feedback_id: str) -> None:
        """One that is written down."""
        self._feedback.add(bytes.fromhex(feedback_id))

    def has_decision(self, decision_id: str) -> bool:
        """Whether it was served."""
        return bytes.fromhex(decision_id) in self._decisions

    def has_feedback(self, feedback_id: str) -> bool:
        """Whether it was heard."""
        return bytes.fromhex(feedback_id) in self._feedback


def _ids(folder: Path, schema: pa.Schema, column: str) -> set[bytes]:
    return {bytes.fromhex(one) for one in read_served(folder, schema, columns=[column])[column].to_pylist()}
