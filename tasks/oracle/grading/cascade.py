"""From an answer to its verdict: rules first, then a judge, then more judges where one is not enough."""

import asyncio
from collections.abc import Sequence
from itertools import combinations

from routecal.calib.policy import Grade
from routecal.tasks.oracle.grading.answering import ABSTENTION, Answer
from routecal.tasks.oracle.grading.decision_judge import decision_votes
from routecal.tasks.oracle.grading.exact import is_exact, normalise_answer
from routecal.tasks.oracle.grading.judging import Ask, JudgeSpec, ModelSpec, Seat, Verdict, Vote
from routecal.tasks.oracle.grading.model_judge import Case, judge_version, model_votes
from routecal.tasks.oracle.prompt_files import version


async def grade_pair(
    ask: Ask,
    *,
    query: str,
    accepted: Sequence[str],
    medium: Answer,
    large: Answer,
    judge: JudgeSpec,
    provider: str,
) -> tuple[Verdict, Verdict]:
    """Verdicts on the answers of the medium and the large model, each graded without knowing of the other.

    Where no grade comes of it, and a reply of an earlier run gave no vote, that judge is asked anew: it may have been
    mended since.

    Where both are graded by calls, the calls run side by side. Equal answers lead to equal calls, which the engine buys
    once. Whatever is in flight when one of them fails is waited for, since it is paid for.

    Args:
        ask: puts one call.
        query: the question.
        accepted: the ground truth and its aliases; blank ones are left out. With none there are no grades.
        medium: what the medium model answered.
        large: what the large model answered.
        judge: who judges.
        provider: of the judges.

    Raises:
        Fault: a judge could not be asked.
    """
    known = tuple(dict.fromkeys(reference for reference in accepted if reference.strip()))
    if not known:
        ungraded = Verdict(None, "nobody", reason="no ground truth", uncertain=True)
        return ungraded, ungraded
    answers = (medium, large)
    verdicts = [rule(answer, known) for answer in answers]
    for anew in (False, True):
        undecided = [i for i, v in enumerate(verdicts) if v is None or (anew and _can_be_renewed(v))]
        texts = [answers[i].text or "" for i in undecided]
        votes: dict[str, tuple[Vote, ...]] = {}
        if judge.kind == "decision" and texts:
            model = judge.first.model
            votes = await decision_votes(ask, query, known, texts, model=model, provider=provider, anew=anew)
        cases = [Case(query, known, text, provider, judge.form) for text in texts]
        judged = (_judged(ask, case, judge, votes.get(case.answer, ()), anew) for case in cases)
        # Both to their end: what the other judges say is paid.
        for i, end in zip(undecided, await asyncio.gather(*judged, return_exceptions=True), strict=True):
            if isinstance(end, BaseException):
                raise end
            verdicts[i] = end
    first, second = (verdict for verdict in verdicts if verdict is not None)
    return first, second


def _can_be_renewed(verdict: Verdict) -> bool:
    return verdict.grade is None and any(vote.grade is None and vote.earlier for vote in verdict.votes)


def rule(answer: Answer, accepted: Sequence[str]) -> Verdict | None:
    """The verdict where no judge is needed, else None.

    Nothing said is NOT_ATTEMPTED, with what there was instead as its reason. A truncated answer that says something is
    an answer like any other, and is judged; one that used up four times its room without a word is silence. A short
    answer that is a reference as a whole is CORRECT. The sentence that the prompt asks for is an abstention, unless it
    is the reference. No rule ever finds an answer INCORRECT, or a reference inside a longer text.
    """
    if answer.blocked is not None:
        return Verdict(Grade.NOT_ATTEMPTED, "no answer", reason=f"blocked:{answer.blocked}")
    if answer.text is None or not answer.text.strip():
        return Verdict(Grade.NOT_ATTEMPTED, "no answer", reason="truncated" if answer.truncated else "empty")
    if is_exact(answer.text, accepted):
        return Verdict(Grade.CORRECT, "exact")
    if normalise_answer(answer.text) == normalise_answer(ABSTENTION):
        return Verdict(Grade.NOT_ATTEMPTED, "abstained")
    return None


def verdict_of(votes: Sequence[Vote], judge: JudgeSpec) -> Verdict:
    """What the votes amount to.

    A grade stands if two judges agree on it, or if one judge gave it who needs no second: sure enough, not bound to a
    second by `always_second`, and contradicted by nobody. Otherwise there is no grade, and the row is no label: a
    three-way split, a tie that nobody broke, a doubtful vote that nobody confirmed, or judges who all failed to say.
    All votes are kept, so that such a row can be looked at, or judged again by others.
    """
    words = {vote.seat: vote for vote in votes}  # a seat's last vote is its word
    judges = " + ".join(dict.fromkeys(vote.judge for vote in votes))
    graded = [vote for vote in words.values() if vote.grade is not None]
    differ = len({vote.grade for vote in graded}) > 1
    agreed = next((a.grade for a, b in combinations(graded, 2) if a.grade == b.grade), None)
    if agreed is None and len(graded) == 1 and _suffices(graded[0], judge):
        agreed = graded[0].grade
    if agreed is None:
        reason = "judges disagree" if differ else "unconfirmed" if graded else "judge error"
        return Verdict(None, judges, None, tuple(votes), reason, uncertain=True)
    sure = [v.confidence for v in graded if v.grade == agreed and v.confidence is not None]
    return Verdict(
        agreed, judges, min(sure, default=None), tuple(votes), "majority" if differ else None, uncertain=differ
    )


def seats(judge: JudgeSpec) -> list[tuple[Seat, ModelSpec]]:
    """The judges there are, in the order they are asked."""
    row: list[tuple[Seat, ModelSpec | None]] = [
        ("first", judge.first),
        ("second", judge.second),
        ("third", judge.third),
    ]
    return [(seat, spec) for seat, spec in row if spec is not None]


def prompt_versions(judge: JudgeSpec) -> list[str]:
    """Versions of every prompt that may decide a verdict: part of what makes a label."""
    versions = [judge_version(seat) for seat, _ in seats(judge)]
    if judge.kind == "decision":
        versions[0] = version("decision")
    return list(dict.fromkeys(versions))


def _suffices(vote: Vote, judge: JudgeSpec) -> bool:
    """Whether this judge needs no other."""
    if judge.always_second:
        return False
    return judge.below is None or (vote.confidence is not None and vote.confidence >= judge.below)


async def _judged(ask: Ask, case: Case, judge: JudgeSpec, votes: tuple[Vote, ...], anew: bool) -> Verdict:
    """Ask judge after judge until a grade stands or none is left; `votes` are the first one's, if it voted already."""
    verdict = verdict_of(votes, judge)
    for seat, spec in seats(judge)[1 if votes else 0 :]:
        if verdict.grade is not None:
            break
        votes = (*votes, *await model_votes(ask, case, spec=spec, seat=seat, anew=anew))
        verdict = verdict_of(votes, judge)
    return verdict
