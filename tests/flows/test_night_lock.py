"""One night at a time in a home: another is dropped with a sentence."""

import json
import re
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import Abort

from routecal.flows import cli
from routecal.flows import night_lock as lock_of_nights
from routecal.flows.night_lock import LOCK, one_night
from routecal.storage.head_registry import append_entry
from routecal.storage.layout import Home
from routecal.storage.lock import locked
from routecal.tasks.night.head_decisions import ASKS, FLOW_RUN
from routecal.tasks.night.night_result import ENDING

pytestmark = pytest.mark.usefixtures("_own_results")
AT_WORK = {"run": "recalibrate on inbox", FLOW_RUN: "other", "since": "2026-11-29 02:00 UTC"}
NIGHTS = FlowFilter(name=FlowFilterName(any_=["night"]))


@flow
def night() -> str:
    """Does its work if no other does."""
    with one_night():
        return "done"


def held(note: dict[str, str]) -> object:
    return locked(Path(Home.from_env().root) / LOCK, json.dumps(note))


def test_nights_one_after_the_other_do_their_work() -> None:
    assert [night(), night()] == ["done", "done"]


def test_a_night_during_another_is_cancelled_and_says_why() -> None:
    with held(AT_WORK), pytest.raises(Abort) as ended:
        night()
    sentence = (
        "the night recalibrate on inbox, begun 2026-11-29 02:00 UTC, still runs, and only one may run at a time; "
        "nothing was done, and the next night gathers what this one would have"
    )
    assert str(ended.value) == str(ended.value.__cause__) == sentence
    with get_client(sync_client=True) as client:
        (newest,) = client.read_flow_runs(flow_filter=NIGHTS, sort=FlowRunSort.START_TIME_DESC, limit=1)
    assert newest.state is not None
    assert newest.state.is_cancelled()
    assert newest.state.message == sentence


def test_a_terminal_ends_with_the_sentence_and_2(capsys: pytest.CaptureFixture[str]) -> None:
    with held(AT_WORK):
        assert cli.main(["demo-night"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("routecal: the night recalibrate on inbox, begun 2026-")


def test_a_night_that_waits_for_approval_keeps_others_out_and_they_say_what_is_awaited() -> None:
    lineage = {ASKS: True, ENDING: {}, FLOW_RUN: "other"}
    append_entry(Home.from_env(), "waiting", champion=None, after=0, run_id="night", lineage=lineage)
    with held(AT_WORK), pytest.raises(Abort, match=re.escape("waits for the approval of entry 1")):
        night()


def test_a_retry_takes_over_from_a_process_of_its_own_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was thought dead, and ends when it next looks."""
    monkeypatch.setattr(
        lock_of_nights,
        "runtime",
        SimpleNamespace(deployment=SimpleNamespace(id="d"), flow_run=SimpleNamespace(id="other", name="same")),
    )
    taken, may_end = threading.Event(), threading.Event()

    def first() -> None:
        with held(AT_WORK):
            taken.set()
            may_end.wait(30)

    process = threading.Thread(target=first)
    process.start()
    assert taken.wait(30)
    monkeypatch.setattr(lock_of_nights.time, "sleep", lambda _: (may_end.set(), process.join()))
    with one_night():
        assert may_end.is_set()
