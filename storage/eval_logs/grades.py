"""From a score, as a tool wrote it, to one of the three grades."""

from routecal.storage.eval_logs.errors import RuleNeeded, SampleUnusable
from routecal.storage.eval_logs.sample import Sample
from routecal.storage.schemas import GRADES
from routecal.storage.value_parsing import number, word

# inspect_ai's letters, and words that tools use. Partly right is half of a point, as inspect_ai counts it.
LETTERS: dict[str, str | float] = {
    "C": "CORRECT",
    "I": "INCORRECT",
    "N": "NOT_ATTEMPTED",
    "P": 0.5,
    **{grade: grade for grade in GRADES},
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
        score = LETTERS.get(word(score), score)
        if score in GRADES:
            return str(score)
    try:
        points = float(score) if isinstance(score, bool) else number(score)
    except ValueError:
        points = None
    if points is None:
        shown = repr(sample.score)[:60]
        raise SampleUnusable(path, sample.place, f"the score {shown} is no number and no grade")
    if right_at is not None:
        return "CORRECT" if points >= right_at else "INCORRECT"
    if points not in (0, 1):
        raise RuleNeeded(path, sample.place, str(sample.score))
    return "CORRECT" if points == 1 else "INCORRECT"
