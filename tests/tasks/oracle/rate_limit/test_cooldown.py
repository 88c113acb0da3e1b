import itertools
import pickle
import random

import pytest

from routecal.tasks.oracle.rate_limit.cooldown import RATE_CUT, TROUBLE_CUT, CoolDown, Width
from routecal.tasks.oracle.rate_limit.project_limits import NoProgress


class Refusals:
    """A cool-down whose calls are numbered one by one, each sent after the pause that the last one began."""

    def __init__(self, *, no_progress_s: float = 900.0) -> None:
        self.cooldown = CoolDown("m", no_progress_s, random.Random(0))
        self.number = 0

    def refuse(self, now: float, retry_after_s: float | None = None) -> float:
        """Seconds of pause after one more call was refused."""
        self.number += 1
        self.cooldown.refused(now, retry_after_s, number=self.number, sent=self.number)
        return self.cooldown.wait_s(now)


def test_the_provider_is_waited_for_as_long_as_it_says_and_a_little_longer():
    assert 53.0 <= Refusals().refuse(100.0, 53.0) <= 54.0
    assert 2.0 <= Refusals().refuse(100.0, 2.0) <= 2.2


@pytest.mark.parametrize("said", [None, 0.0, -3.0, float("nan"), float("inf")])
def test_without_a_usable_time_the_pause_doubles_up_to_a_minute(said):
    refusals, now = Refusals(no_progress_s=1e9), 0.0
    pauses = []
    for _ in range(9):
        pauses.append(refusals.refuse(now, said))
        now += pauses[-1]
    expected = [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert all(e <= p <= e + min(1.0, e / 10) for e, p in zip(expected, pauses, strict=True))


def test_a_success_starts_the_doubling_again_but_not_that_of_an_older_call():
    refusals = Refusals()
    refusals.refuse(0.0)
    refusals.refuse(10.0)
    refusals.cooldown.succeeded(number=1)
    assert refusals.refuse(20.0) >= 4.0
    refusals.cooldown.succeeded(number=refusals.number + 1)
    refusals.number += 1
    assert refusals.refuse(30.0) <= 1.1


def test_calls_sent_together_and_refused_together_are_one_refusal():
    cooldown = CoolDown("m", 900.0, random.Random(0))
    for number in range(1, 65):
        cooldown.refused(0.1, None, number=number, sent=64)
    assert 1.0 <= cooldown.wait_s(0.1) <= 1.1


def test_a_pause_is_extended_never_shortened():
    cooldown = CoolDown("m", 900.0, random.Random(0))
    cooldown.refused(0.0, 30.0, number=1, sent=3)
    cooldown.refused(0.0, 5.0, number=2, sent=3)
    assert cooldown.until >= 30.0
    # One that was sent before is still told a time by the provider.
    cooldown.refused(29.0, 30.0, number=3, sent=3)
    assert cooldown.until >= 59.0


def test_refusals_for_too_long_are_an_error_until_a_call_succeeds():
    refusals, now = Refusals(), 0.0
    while now < 900.0 - 54.0:
        now += refusals.refuse(now, 53.0)
    with pytest.raises(NoProgress, match="within 15 minutes") as caught:
        refusals.refuse(now, 54.0)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(NoProgress):
        refusals.cooldown.wait_s(now + 1000.0)
    refusals.cooldown.succeeded(number=1)
    assert refusals.cooldown.wait_s(now + 1000.0) == 0.0


def test_one_success_now_and_then_is_progress():
    refusals, now = Refusals(), 0.0
    for i in range(200):
        now += refusals.refuse(now, 20.0)
        if i % 40 == 0:
            refusals.cooldown.succeeded(number=refusals.number)


def test_a_pause_that_outlasts_all_patience_is_an_error_at_once():
    with pytest.raises(NoProgress, match=r"wait 36\d\d s more"):
        Refusals().refuse(0.0, 3600.0)


def test_idle_hours_between_refusals_are_not_refusals():
    refusals = Refusals()
    refusals.refuse(0.0, 5.0)
    assert refusals.refuse(10_000.0, 5.0) >= 5.0


def serve(width: Width, numbers: itertools.count, n: int, *, used: float = 1.0) -> None:
    """n successes while that part of the width is in flight."""
    for _ in range(n):
        width.succeeded(number=next(numbers), in_flight=round(used * width.limit))


def test_width_doubles_while_used_until_the_first_cut_then_adds():
    width, numbers = Width(1000), itertools.count(1)
    assert width.limit == 16
    serve(width, numbers, 16)
    assert width.limit == 32
    serve(width, numbers, 32)
    assert width.limit == 64
    serve(width, numbers, 1000, used=0.5)
    assert width.limit == 64
    first = next(numbers)
    width.cut(RATE_CUT, number=first, sent=first)
    assert width.limit == 51
    serve(width, numbers, 51)
    assert width.limit == 52
    serve(width, numbers, 10**5)
    assert width.limit <= 1000


def test_width_is_never_above_its_maximum():
    assert Width(5).limit == 5
    width = Width(40)
    serve(width, itertools.count(1), 500)
    assert width.limit == 40


def test_calls_sent_before_a_cut_neither_cut_nor_grow():
    width = Width(64)
    for number in range(1, 65):
        width.cut(RATE_CUT, number=number, sent=64)
    assert width.limit == int(16 * 0.8)
    for number in range(1, 65):
        width.succeeded(number=number, in_flight=64)
    assert width.limit == 12
    width.cut(RATE_CUT, number=65, sent=70)
    assert width.limit == int(16 * 0.8 * 0.8)


def test_a_server_in_trouble_cuts_half_as_much_and_nothing_cuts_below_one():
    width = Width(64)
    width.cut(TROUBLE_CUT, number=1, sent=1)
    assert width.limit == int(16 * 0.9)
    for number in range(2, 100):
        width.cut(RATE_CUT, number=number, sent=number)
    assert width.limit == 1
    serve(width, itertools.count(100), 3)
    assert width.limit > 1


def test_no_limit_is_none():
    width = Width(None)
    width.cut(RATE_CUT, number=1, sent=1)
    serve(width, itertools.count(2), 3)
    assert width.limit > 10**9
