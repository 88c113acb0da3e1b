import pytest

from routecal.storage.ledger.ledger_errors import JobHeld


def test_a_budget_has_one_spender_at_a_time(ledgers):
    one, two = ledgers.open(), ledgers.open()
    one.hold_job("j")
    one.hold_job("j")
    with pytest.raises(JobHeld, match=r"process [0-9]+ on .* is labelling the same rows"):
        two.hold_job("j")
    two.hold_job("another")


@pytest.mark.parametrize("end", ["closed", "dead"])
def test_the_budget_of_a_run_that_has_ended_is_free(ledgers, end):
    one, two, three = (ledgers.open() for _ in range(3))
    one.hold_job("j")
    if end == "closed":
        one.close()
    else:
        ledgers.crash(one)
    two.hold_job("j")
    with pytest.raises(JobHeld):
        three.hold_job("j")
