"""A response that is of no use makes room for another; what it cost stays counted."""

import pytest

from routecal.storage.ledger import Spent
from tests.storage.ledger.ledgers import finish, start


@pytest.fixture
def ledger(ledgers):
    return ledgers.open()


def test_a_retired_response_is_an_attempt_at_its_price_and_its_key_is_free(ledger) -> None:
    ledger.write(starts=[start("a", reserved_usd=0.5), start("b")])
    ledger.write(ends=[finish("a", "broken\0", usd=0.125), finish("b", "good", usd=0.25)])
    assert ledger.retire("a", "broken\0", "broken", "no end")
    assert ledger.ended(["a", "b"]) == {"b"}
    assert ledger.spent("j") == Spent(0.25, 0.125, 1, 1)
    assert ledger.write(starts=[start("a")])["a"].state == "ours"
    ledger.write(ends=[finish("a", "whole", usd=0.0625)])
    assert ledger.find(["a"])["a"].response == "whole"
    assert ledger.spent("j") == Spent(0.3125, 0.125, 2, 1)


def test_a_price_that_nobody_knows_is_the_most_it_can_be(ledger) -> None:
    ledger.write(starts=[start("a", reserved_usd=0.5)])
    ledger.write(ends=[finish("a", "broken", usd=None)])
    assert ledger.retire("a", "broken", "broken", "no end")
    assert ledger.spent("j").maybe_usd == 0.5


def test_what_has_come_in_its_place_stays(ledger) -> None:
    ledger.write(starts=[start("a"), start("c")])
    ledger.write(ends=[finish("a", "whole")])
    # Another process was faster; a call in flight is none of ours to end; and there is no call of that name.
    assert not ledger.retire("a", "broken", "broken", "no end")
    assert not ledger.retire("c", "broken", "broken", "no end")
    assert not ledger.retire("d", "broken", "broken", "no end")
    assert ledger.find(["a"])["a"].response == "whole"
    assert (ledger.spent("j").attempts, ledger.write(starts=[start("c")])["c"].state) == (0, "ours")
