"""Fewer right answers keep a head out, unless they were asked for; and chance alone does so as often as is said."""

from typing import Any

import numpy as np
import pytest

from routecal.calib.errors import LengthMismatch
from routecal.calib.escalation import Outcomes, paired_difference_of_shares, saving_at
from routecal.calib.night import served_quality as module
from routecal.calib.night.promotion_gate import Condition, GateRules, decide
from routecal.calib.night.served_quality import not_compared, served_quality
from routecal.calib.settings import EscalationTerms

N, LEVEL = 1000, 0.95
RATE = EscalationTerms(call_rate=0.5)


def judged(
    candidate: np.ndarray,
    champion: np.ndarray,
    right: tuple[np.ndarray, np.ndarray],
    terms: EscalationTerms = RATE,
    before: EscalationTerms | None = None,
    needs_large: np.ndarray | None = None,
    level: float = LEVEL,
) -> Condition:
    """With the medium model at 1 and the large one at 9; on the same terms as the champion unless others are given."""
    n = len(candidate)
    outcomes = Outcomes(right[0].astype(float), right[1].astype(float), np.full(n, 1.0), np.full(n, 9.0))
    needs_large = np.zeros(n, bool) if needs_large is None else needs_large
    return served_quality(candidate, champion, outcomes, needs_large, terms, before or terms, level=level)


def losing(n_lost: int, n_kept: int = 400) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """(candidate, champion, right): all-large serves, and the candidate keeps so many and loses some of them; the
    medium model would lose others, too."""
    rows = np.arange(N)
    return rows >= n_kept, np.ones(N, bool), ((rows >= n_lost) & (rows // 100 != 8), np.ones(N, bool))


def test_as_good_a_head_is_refused_as_seldom_as_the_level_says_and_a_worse_one_nearly_always(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both heads send half of the queries up, by coins of their own; then the candidate keeps some that only the large
    model answers."""
    monkeypatch.setattr(module, "_against_all_large", lambda *_: "")  # words, and slow ones
    rng, draws, refused, caught = np.random.default_rng(0), 2000, 0, 0
    for _ in range(draws):
        right = (rng.random(300) < 0.6, rng.random(300) < 0.7)
        candidate, champion = (rng.random(300) < 0.5 for _ in range(2))
        refused += not judged(candidate, champion, right).is_met
    alpha = (1 - LEVEL) / 2
    assert 0.5 * alpha < refused / draws <= alpha + 2 * np.sqrt(alpha * (1 - alpha) / draws)
    for _ in range(200):
        right = (rng.random(300) < 0.6, rng.random(300) < 0.7)
        champion = rng.random(300) < 0.5
        lost = rng.random(300) < 0.1
        caught += not judged(champion & ~lost, champion, (right[0] & ~lost, right[1] | lost)).is_met
    assert caught / 200 > 0.9


@pytest.mark.parametrize(("n_lost", "is_met"), [(0, True), (3, True), (4, False), (40, False)])
def test_it_is_lower_where_the_paired_interval_lies_below_zero(n_lost: int, is_met: bool) -> None:
    """Without a gain Z = -c / sqrt(c): 3 losses are -1.7 and 4 are -2."""
    found = judged(*losing(n_lost))
    assert found.is_met is is_met
    assert (found.name, "is not significantly lower" in found.reason) == ("served", is_met)
    back = judged(losing(n_lost)[1], losing(n_lost)[0], losing(n_lost)[2])
    assert back.is_met


@pytest.mark.parametrize("level", [0.8, LEVEL])
def test_the_reason_gives_both_heads_quality_and_saving_with_intervals(level: float) -> None:
    candidate, champion, right = losing(20)
    champion = champion & (np.arange(N) < 900)
    outcomes = Outcomes(right[0].astype(float), right[1].astype(float), np.full(N, 1.0), np.full(N, 9.0))
    reason = judged(candidate, champion, right, level=level).reason
    difference = paired_difference_of_shares(0, 20, N, level=level)
    assert f"the champion's: {difference.times(100):+.1f} points;" in reason
    for who, large in (("candidate", candidate), ("champion", champion)):
        own = saving_at(outcomes, large.astype(float), threshold=0.5, level=level)
        said = f"{own.quality_difference.times(100):+.1f} points, {own.saving.times(100):.0f} % saved"
        assert f"{who} {said}" in reason


@pytest.mark.parametrize(
    ("terms", "before", "word"),
    [
        ({"call_rate": 0.5}, {"call_rate": 0.6}, "the champion's threshold is of other terms"),
        ({"budget": 3.0}, {}, "the champion's threshold is of other terms"),
        ({"at_most": 0.015}, {"at_most": 0.01}, "the champion's threshold is of other terms"),
        ({"at_most": 0.015, "probability": 0.8}, {"at_most": 0.015}, "the champion's threshold is of other terms"),
        ({"at_most": 0.015, "medium_price": 2.0}, {"at_most": 0.015}, "the champion's threshold is of other terms"),
        # stricter, or the same in other words: no reason to lose 20 of 1,000
        ({"at_most": 0.01}, {"at_most": 0.02}, ""),
        ({"at_most": 0.01, "probability": 0.99}, {"at_most": 0.01}, ""),
        ({"call_rate": 0.5, "price_unit": "cents"}, {"call_rate": 0.5}, ""),
        ({"at_most": 0.01, "price_unit": "cents"}, {"at_most": 0.02}, ""),
        # within what was promised, and cheaper
        ({"at_most": 0.02}, None, "at most 2 points of quality lost against all-large, 2.0 here, and it saves more"),
        ({"at_most": 0.019}, None, ""),
        ({"risk": "harm", "at_most": 0.02}, None, "answer right, 2.0 here, and it saves more"),
        ({"risk": "harm", "at_most": 0.019}, None, ""),
        ({"risk": "kept", "at_most": 0.05}, None, "need the large one, 5.0 here, and it saves more"),
        ({"risk": "kept", "at_most": 0.049}, None, ""),
        # 400 are kept, which saves 8 each: 20 lost ones are worth that up to 160 each
        ({"answer_value": 159.0}, None, "a right answer is worth 159, and more is saved than lost"),
        ({"answer_value": 160.0}, None, ""),
        ({"call_rate": 0.5}, None, ""),
    ],
)
def test_a_lower_quality_is_let_in_where_the_operator_s_words_ask_for_it(
    terms: dict[str, Any], before: dict[str, Any] | None, word: str
) -> None:
    was = None if before is None else EscalationTerms(**before)
    found = judged(*losing(20), EscalationTerms(**terms), was, np.arange(N) < 20)
    assert found.is_met is bool(word)
    assert word in found.reason
    assert ("as was asked for" in found.reason) is bool(word)


def test_nothing_is_said_to_be_asked_for_where_nothing_is_lower() -> None:
    assert "asked for" not in judged(*losing(3), RATE, EscalationTerms()).reason


def test_numbers_stand_for_decisions_as_well() -> None:
    candidate, champion, right = losing(20)
    terms, needs_large = EscalationTerms(risk="kept", at_most=0.05), np.arange(N) < 20
    numbers = [side.astype(int) for side in (candidate, champion, needs_large)]
    found = judged(numbers[0], numbers[1], right, terms, needs_large=numbers[2])
    assert found == judged(candidate, champion, right, terms, needs_large=needs_large)


def test_what_is_within_the_promise_and_saves_nothing_for_it_is_no_fair_trade() -> None:
    candidate, _, right = losing(20)
    champion = np.roll(candidate, 400)  # keeps as many, and none of those that are lost
    terms = EscalationTerms(at_most=0.02)
    assert not judged(candidate, champion, right, terms).is_met
    assert judged(candidate, champion | (np.arange(N) == 500), right, terms).is_met  # one call dearer


def test_the_gate_asks_it_of_a_candidate_with_a_champion_alone() -> None:
    rng = np.random.default_rng(1)
    q = rng.random(N)
    y = (rng.random(N) < q).astype(float)
    worse, rules = judged(*losing(40)), GateRules()
    verdict = decide(q, q, y, renewal=("old",), quality=worse, rules=rules)
    assert not verdict.is_promoted
    assert verdict.reasons == (worse.reason,)
    unknown = not_compared("no grades")
    assert unknown.name == worse.name
    assert decide(q, q, y, renewal=("old",), quality=unknown).is_promoted
    assert decide(q, None, y, quality=worse).is_promoted


def test_decisions_on_other_queries_are_named() -> None:
    candidate, champion, right = losing(4)
    for sides in ((candidate[1:], champion), (candidate, champion[1:])):
        with pytest.raises(LengthMismatch):
            served_quality(
                *sides,
                Outcomes(right[0].astype(float), right[1].astype(float), np.ones(N), np.ones(N)),
                np.zeros(N, bool),
                RATE,
                RATE,
                level=LEVEL,
            )
