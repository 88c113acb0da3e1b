"""Audits: a sample of labels as a sheet for people, and how good the judge is by a filled one."""

from typing import TYPE_CHECKING

from routecal.storage.artifact import Artifact, read_table
from routecal.tasks.oracle.audit.audit_sample import draw_sample
from routecal.tasks.oracle.audit.audit_sheet import read_sheet, write_sheet
from routecal.tasks.runs import newest_artifact

if TYPE_CHECKING:
    from routecal.tasks.oracle.audit.judge_accuracy import AuditResult

# The same labels give the same sample; who wants another one labels more.
SEED = 0


def draw_audit(labels: Artifact, queries: Artifact, n: int, path: str) -> int:
    """Write a sheet of `n` graded answers, or of all there are; returns how many.

    Raises:
        NothingToAudit, SampleTooSmall, QueryUnknown, AuditExists, StorageError: as `draw_sample` and `write_sheet`.
    """
    rows = draw_sample(read_table(labels), read_table(queries), n, seed=SEED)
    write_sheet(path, rows)
    return len(rows)


def score_audit(file: str, labels: str | None = None) -> "AuditResult":
    """How good the judge of some labels is, by a filled sheet drawn from them.

    Args:
        file: the sheet.
        labels: their place; None takes the newest labels.

    Raises:
        TaskError: the sheet cannot be read, is of other labels or says too little.
    """
    # SciPy comes with it, whose memory a labelling run has no use for.
    from routecal.tasks.oracle.audit.judge_accuracy import score_judge

    drawn_from = newest_artifact("labels", labels)
    return score_judge(read_sheet(file), read_table(drawn_from))
