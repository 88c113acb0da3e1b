"""From a score, as a tool wrote it, to one of the three grades."""

import math

from routecal.storage.eval_logs.errors import RuleNeeded, SampleUnusable
from routecal.storage.eval_logs.sample import Sample

# inspect_ai's letters, and words that tools use. Partly right is half of a point, as inspect_ai counts it.
LETTERS: dict[str, str | float] = {
    "C": "CORRECT",
    "I": "INCORRECT",
    "N": "NOT_ATTEMPTED",
    "P": 0.5,
    "CORRECT": "CORRECT",
    "INCORRECT": "INCORRECT",
    "NOT_ATTEMPTED": "NOT_ATTEMPTED",
    "TRUE": "CORRECT",
    "FALSE": "INCORRECT",
    "PASS": "CORRECT",
    "FAIL": "INCORRECT",
}


def grade_of(path: str, sample: Sample, right_at: float | None) -> str:
    """CORRECT, INCORRECT or NOT_ATTEMPTED.

    Args:
        path: of the log, for the sentence.
        sample: one that has a score.
        right_at: the lowest score that is right, in the log's own scale; None: 1 is right, 0 is wrong, and any other
            is refused.

    Raises:
        RuleNeeded: a score between right and wrong without `right_at`.
        SampleUnusable: a score that is no number and no letter.
    """
    score = sample.score
    if isinstance(score, str):
        word = score.strip().upper().replace(" ", "_").replace("-", "_")
        known = LETTERS.get(word)
        if isinstance(known, str):
            return known
        score = _number(score) if known is None else known
    if score is None or not isinstance(score, bool | int | float) or not math.isfinite(score):
        shown = repr(sample.score)[:60]
        raise SampleUnusable(path, sample.place, f"the score {shown} is no number and no grade")
    if right_at is not None:
        return "CORRECT" if score >= right_at else "INCORRECT"
    if score not in (0, 1):
        raise RuleNeeded(path, sample.place, str(sample.score))
    return "CORRECT" if score == 1 else "INCORRECT"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
