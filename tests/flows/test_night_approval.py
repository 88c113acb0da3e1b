"""A night that waits: whoever decides first decides, in the UI or in a terminal, and the night tells how it ended."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient

from routecal.flows import approval
from routecal.flows.approval import await_answer, question
from routecal.storage.artifact import Artifact
from routecal.storage.head_registry import RegistryEntry, append_entry, history
from routecal.storage.layout import Home
from routecal.tasks.night import manual_decisions
from routecal.tasks.night.head_decisions import ASKS, ESCALATED, entry_asked_by
from routecal.tasks.night.manual_decisions import waiting
from routecal.tasks.night.night_result import ENDING, Ending, Night
from tests.flows.people import beside, pretend_deployed

pytestmark = pytest.mark.usefixtures("_own_results")


@pytest.fixture(autouse=True)
def _deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a run of a deployment, but looked at more often."""
    pretend_deployed(monkeypatch, approval)
    monkeypatch.setattr(approval, "POLL_S", 0.5)


@pytest.fixture
def heads(tmp_path: Path) -> list[Artifact]:
    """A head that serves, one that waits, and a third."""
    return [Artifact(uri=str(tmp_path), sha256=digit * 64, rows=1, kind="calibrated") for digit in "123"]


@flow
def waiting_night(hours: float) -> dict[str, Any]:
    """What a night that has written its entry as the newest makes of the answer."""
    return await_answer(history(Home.from_env())[-1], hours=hours).model_dump(mode="json")


def wait(heads: list[Artifact]) -> RegistryEntry:
    """A head serves, and another waits."""
    night = Night(run_id="night", action="waiting", reasons=("Brier is lower",), n_new=9, serving="1" * 16, alarm="off")
    ending = Ending(night=night, key="key", made={}).model_dump(mode="json")
    append_entry(Home.from_env(), "promoted", champion=heads[0], candidate=heads[0], after=0)
    return append_entry(
        Home.from_env(),
        "waiting",
        champion=heads[0],
        candidate=heads[1],
        after=1,
        reasons=night.reasons,
        run_id="night",
        lineage={ENDING: ending, ASKS: True, ESCALATED: 0.25, "flow_run_id": "own"},
    )


def actions() -> list[str]:
    return [entry.action for entry in history(Home.from_env())]


def resume(client: SyncPrefectClient, run: Any, promote: bool, note: str = "") -> None:
    client.resume_flow_run(run, run_input={"promote": promote, "note": note})


@pytest.mark.parametrize(
    ("promote", "action", "said", "serves"),
    [(True, "promoted", "approved in the UI: good", 1), (False, "refused", "declined in the UI: good", 0)],
)
def test_an_answer_in_the_ui_is_written_after_the_entry_that_waited(
    promote: bool, action: str, said: str, serves: int, heads: list[Artifact]
) -> None:
    wait(heads)
    assert len(waiting(history(Home.from_env()))) == 1
    night = beside(lambda c, run: resume(c, run, promote, "good"), lambda: waiting_night(hours=0.1))["night"]
    entry = history(Home.from_env())[-1]
    assert actions() == ["promoted", "waiting", action]
    assert entry.reasons == tuple(night["reasons"]) == (said, "Brier is lower")
    assert entry.champion == heads[serves]
    assert (night["action"], night["serving"]) == (action, heads[serves].sha256[:16])
    assert night["escalated"] == (0.25 if promote else None)
    assert night["alarm"] == ("" if promote else "off")  # it was against the head before
    # The run's Retry finds its decision, and the candidate waits no more.
    assert entry_asked_by("own") is None
    assert waiting(history(Home.from_env())) == []
    assert manual_decisions.heads().rows[1]["decision"] == "waited until 3"


def test_promote_in_a_terminal_answers_the_night_that_waits(heads: list[Artifact]) -> None:
    wait(heads)
    night = beside(lambda *_: manual_decisions.promote(), lambda: waiting_night(hours=0.1))["night"]
    assert actions() == ["promoted", "waiting", "promoted"]
    assert (night["action"], night["serving"]) == ("promoted", "2" * 16)
    assert night["reasons"][0] == "promoted by hand while the night waited (entry 3)"


def test_decline_in_a_terminal_ends_the_night_that_waits(heads: list[Artifact]) -> None:
    wait(heads)
    night = beside(lambda *_: manual_decisions.decline(note="too dear"), lambda: waiting_night(hours=0.1))["night"]
    assert actions() == ["promoted", "waiting", "refused"]
    assert (night["action"], night["serving"]) == ("refused", "1" * 16)
    assert night["reasons"] == ["declined by hand: too dear", "Brier is lower"]


def test_of_an_answer_in_the_ui_and_one_in_a_terminal_the_first_counts(heads: list[Artifact]) -> None:
    wait(heads)

    def both(client: SyncPrefectClient, run: Any) -> None:
        manual_decisions.promote()
        resume(client, run, promote=False)

    night = beside(both, lambda: waiting_night(hours=0.1))["night"]
    assert actions() == ["promoted", "waiting", "promoted"]
    assert night["action"] == "promoted"


def test_an_answer_does_not_overrule_a_head_that_was_put_in_force_meanwhile(heads: list[Artifact]) -> None:
    wait(heads)

    def meanwhile(client: SyncPrefectClient, run: Any) -> None:
        append_entry(Home.from_env(), "promoted", champion=heads[2], candidate=heads[2], after=2)
        resume(client, run, promote=True)

    night = beside(meanwhile, lambda: waiting_night(hours=0.1))["night"]
    assert actions() == ["promoted", "waiting", "promoted"]
    assert history(Home.from_env())[-1].champion == heads[2]
    assert (night["action"], night["serving"], night["alarm"]) == ("overtaken", "3" * 16, "")
    assert night["reasons"][0].startswith("entry 3 has put another head in force since")


def test_a_candidate_that_nobody_answers_for_can_be_promoted_later(heads: list[Artifact]) -> None:
    wait(heads)
    night = waiting_night(hours=1e-4)["night"]
    assert (night["action"], night["serving"]) == ("waiting", "1" * 16)
    assert night["reasons"][0] == "nobody has approved entry 2; `routecal promote --entry 2` still can"
    assert actions() == ["promoted", "waiting"]
    assert manual_decisions.promote().champion == heads[1]


def test_what_was_loaded_is_let_go_before_hours_of_waiting(
    heads: list[Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = []
    for name in ("open_router", "local_model"):
        cache = SimpleNamespace(cache_clear=lambda name=name: let_go.append(name))
        monkeypatch.setattr(f"routecal.flows.approval.{name}", cache)
    wait(heads)
    waiting_night(hours=1e-4)
    assert let_go == ["open_router", "local_model"]


def test_the_question_says_why_until_when_and_how_to_answer(heads: list[Artifact]) -> None:
    said = question(wait(heads), "2026-11-30 02:00 UTC")
    for part in ("Until 2026-11-30 02:00 UTC", "- Brier is", "**Resume**", "promote --entry 2`", "decline --entry 2`"):
        assert part in said
