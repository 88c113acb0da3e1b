"""Nights of recalibration on a real Prefect: what they gather, decide and tell, and what survives an interruption."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.client.schemas.sorting import FlowRunSort

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.outcome.outcome_folder import holds_outcome_head, load_outcome_head
from routecal.calib.packed_folder import serving_in
from routecal.calib.promise.guarantee import Guarantee
from routecal.flows import recalibrate as night_flow
from routecal.flows.night_params import RecalibrateParams
from routecal.flows.recalibrate import recalibrate
from routecal.flows.threshold import threshold
from routecal.flows.threshold_params import ThresholdParams
from routecal.storage.artifact import read_table
from routecal.storage.errors import RegistryChanged
from routecal.storage.folder_artifact import local_folder
from routecal.storage.head_registry import alarm_against_champion, append_entry, champion, history
from routecal.storage.layout import Home
from routecal.storage.manifest import manifests
from routecal.tasks.errors import InboxMissing, NothingToPromote
from routecal.tasks.night import manual_decisions
from routecal.tasks.night.label_history import NIGHT
from routecal.tasks.night.night_report import headline
from routecal.tasks.serving import Champion
from tests.tasks.made import outcome_rows, policies_for, texts, write_jsonl

pytestmark = pytest.mark.usefixtures("plain_report")
N = 1200
WARM_START = ("SFT from the champion", "Completed")


@pytest.fixture(scope="module")
def world(router_checkpoint: Path) -> tuple[list[str], list[str]]:
    """Queries in no order, so that none of their days looks unlike another, and their true policies."""
    asked = texts(N)
    order = np.random.default_rng(0).permutation(N)
    policies = policies_for(asked, router_checkpoint)
    return [asked[i] for i in order], [policies[i] for i in order]


@pytest.fixture
def params(world: tuple[list[str], list[str]], router_checkpoint: Path, tmp_path: Path) -> RecalibrateParams:
    """A first night's, with 400 queries in the inbox."""
    (tmp_path / "inbox").mkdir()
    found = RecalibrateParams(
        inbox=str(tmp_path / "inbox"),
        outcomes=write_jsonl(tmp_path / "outcomes.jsonl", outcome_rows(*world)),
        router_path=str(router_checkpoint),
        night_queries=400,
        epochs=8,
        hidden_units=8,
        target_ece=0.3,
        medium_price=1,
        large_price=20,
    )
    drop(found, world[0][:400], "monday.jsonl")
    return found


def drop(params: RecalibrateParams, asked: list[str], name: str) -> None:
    """New queries arrive."""
    write_jsonl(Path(params.inbox) / name, [{"query": text} for text in asked])


def broken(params: RecalibrateParams, world: tuple[list[str], list[str]], start: int) -> RecalibrateParams:
    """From query `start` on, the judge finds every answer wrong."""
    asked, policies = world
    rows = outcome_rows(asked, policies)
    for row in rows[start:]:
        row["medium_label"] = row["large_label"] = "INCORRECT"
    path = write_jsonl(Path(params.inbox).parent / "broken.jsonl", rows)
    return params.model_copy(update={"outcomes": path, "recheck_nights": 1})


def test_a_head_is_promoted_serves_and_rests_while_all_is_well(params, world, states) -> None:
    first = recalibrate(params)
    assert (first.action, first.n_new, first.n_labelled) == ("promoted", 400, 400)
    (entry,) = history(Home.from_env())
    assert entry.champion is not None
    assert first.serving == entry.champion.sha256[:16]
    assert entry.reasons == first.reasons
    router = CalibratedRouter.from_pretrained(entry.champion.uri)
    (decision,) = router.route(world[0][:1])
    assert (decision.decides_by, decision.no_guarantee) == ("gain", "")
    assert str(decision.guarantee) == entry.lineage["promise"]
    assert decision.guarantee == Guarantee.model_validate(entry.lineage["guarantee"])
    assert manual_decisions.heads().rows[0]["why"].startswith(f"promise: {decision.guarantee}; ")

    # nothing new: nothing is asked, nothing is decided, and it is told all the same
    second = recalibrate(params)
    assert (second.action, second.n_new, second.n_labelled) == ("quiet", 0, 0)
    with get_client(sync_client=True) as client:
        name = FlowFilter(name=FlowFilterName(any_=["recalibrate"]))
        runs = client.read_flow_runs(flow_filter=name, sort=FlowRunSort.START_TIME_DESC, limit=2)
    messages = [run.state.message for run in runs if run.state is not None]
    assert messages == ["Nothing was labelled: the inbox holds no query without a label", headline(first)]
    assert len(history(Home.from_env())) == 1
    told = [m.artifacts[NIGHT] for m in manifests(Home.from_env(), "recalibrate")]
    assert [read_table(row)["action"][0].as_py() for row in told] == ["promoted", "quiet"]


def test_the_same_queries_are_labelled_once_and_the_night_s_number_is_kept(params, world, states) -> None:
    params = params.model_copy(update={"night_queries": 100})
    drop(params, world[0][:500], "tuesday.jsonl")
    nights = [recalibrate(params) for _ in range(2)]
    assert [(n.n_new, n.n_labelled, n.action) for n in nights] == [(500, 100, "gathering"), (400, 100, "gathering")]
    assert "of the 100 held-out rows that a decision takes are labelled; about" in nights[0].reasons[0]
    ids = [
        i
        for m in manifests(Home.from_env(), "recalibrate")
        for i in read_table(m.artifacts["labels"])["query_id"].to_pylist()
    ]
    assert len(ids) == len(set(ids)) == 200


def test_outcomes_that_change_while_queries_do_not_wait_for_a_person(params, world, states) -> None:
    params = params.model_copy(update={"renew_nights": 1, "brier_margin": 0.25})
    recalibrate(params)
    serving = champion(Home.from_env())
    drop(params, world[0][400:800], "tuesday.jsonl")
    doubted = recalibrate(broken(params, world, 400))
    assert doubted.action == "waiting"
    assert WARM_START not in states
    assert any("outcomes moved" in reason for reason in doubted.reasons)
    assert champion(Home.from_env()) == serving

    # what is doubted teaches nobody, and is not labelled again
    drop(params, world[0][800:], "wednesday.jsonl")
    after = recalibrate(params.model_copy(update={"recheck_nights": 1}))
    assert (after.n_new, after.n_labelled) == (400, 400)
    assert WARM_START in states
    assert after.verdict is not None
    (quality,) = [c.reason for c in after.verdict.conditions if c.name == "served"]
    assert "significantly lower than the champion's: " in quality
    rows = history(Home.from_env())[-1].lineage["rows"]
    assert isinstance(rows, dict)
    assert rows["examples"]["rows"] == 800

    # a person can promote it all the same, and then take it back
    assert manual_decisions.promote(2).champion == history(Home.from_env())[1].candidate
    assert manual_decisions.roll_back().champion != history(Home.from_env())[1].candidate
    assert manual_decisions.heads().rows[0]["decision"] == "rolled back"


def test_an_alarm_is_raised_and_said_whatever_becomes_of_the_night(params, world, monkeypatch) -> None:
    recalibrate(params)
    serving = Champion(look_every_s=0)
    odd = [text for text in world[0][400:] if "odd" in text]
    drop(params, odd[:60], "tuesday.jsonl")
    with monkeypatch.context() as patch:
        patch.setattr(night_flow, "missing", lambda *_, **__: "too few")
        night = recalibrate(params)
    assert (night.action, night.reasons) == ("gathering", ("too few",))
    assert night.alarm.startswith("queries drifted")
    assert headline(night).endswith(f"nothing is promised of the serving head: {night.alarm}")
    first, alarm = history(Home.from_env())
    assert (alarm.action, alarm.champion, alarm.run_id) == ("alarm", first.champion, night.run_id)
    assert serving.route(world[0][:1])[0].no_guarantee == f"no guarantee: {night.alarm}"

    # It stands until another head serves, is entered once, and a decision is made upon it.
    recalibrate(params)  # which tests the new labels, and may find more
    entries = history(Home.from_env())
    quiet = recalibrate(params)
    assert (quiet.action, quiet.alarm) == ("quiet", alarm_against_champion(entries))
    assert history(Home.from_env()) == entries
    drop(params, odd[60:], "wednesday.jsonl")
    decided = recalibrate(params)
    *_, before, entry = history(Home.from_env())
    assert (before.action, entry.action, entry.run_id) == ("alarm", decided.action, decided.run_id)
    assert bool(decided.alarm) is (decided.action == "refused")


def test_a_night_of_before_outcome_heads_is_read_again_and_teaches_one(params, world) -> None:
    recalibrate(params.model_copy(update={"outcome_layers": ()}))
    old = champion(Home.from_env())
    assert old is not None
    assert not holds_outcome_head(local_folder(old))
    (decision,) = CalibratedRouter.from_pretrained(old.uri).route(world[0][:1])
    assert (decision.decides_by, decision.gain) == ("confidence", None)

    drop(params, world[0][400:500], "tuesday.jsonl")
    second = recalibrate(params.model_copy(update={"recheck_nights": 1, "renew_nights": 1, "call_rate": 0.3}))
    assert second.verdict is not None
    assert second.verdict.conditions[-1].reason.endswith("no outcome head decides for the champion")
    night = manifests(Home.from_env(), "recalibrate")[-1]
    newest = local_folder(night.artifacts["calibrated"])
    lineage = load_outcome_head(newest).lineage
    # of 500 queries seven tenths are labelled rows, so both nights taught it
    assert 300 < lineage["rows"] < 400

    # and the threshold of the night follows from what it recorded: of both nights' rows, on the same terms
    for run in (None, night.run_id):
        found = threshold(ThresholdParams(run=run, call_rate=0.3))
        assert found.data.endswith(f"of run {second.run_id}, whose head was {second.action} that night")
        assert found.escalation.n_chosen_on == lineage["rows"]
        assert found.threshold == serving_in(newest).threshold > 0


def test_going_back_twice_goes_back_further(params, states) -> None:
    one, two, three = (recalibrate(params.model_copy(update={"seed": seed})) for seed in range(3))
    assert (one.action, two.action, three.action) == ("promoted", "quiet", "quiet")
    with pytest.raises(NothingToPromote, match="no other head has served"):
        manual_decisions.roll_back()
    with pytest.raises(NothingToPromote, match="no candidate waits"):
        manual_decisions.promote()
    first = champion(Home.from_env())
    assert first is not None
    folders = [first.model_copy(update={"sha256": digit * 64}) for digit in "23"]
    for number, other in enumerate(folders, 1):
        append_entry(Home.from_env(), "promoted", champion=other, candidate=other, after=number)
    assert [manual_decisions.roll_back().champion for _ in range(2)] == [folders[0], first]
    assert manual_decisions.roll_back(3).champion == folders[1]
    with pytest.raises(NothingToPromote, match="entry 77"):
        manual_decisions.roll_back(77)


def interrupted(params: RecalibrateParams, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """A night that ends when it comes to this step."""

    def ends(*_: Any, **__: Any) -> None:
        raise ConnectionError("the machine went away")

    with monkeypatch.context() as patch:
        patch.setattr(night_flow, step, ends)
        with pytest.raises(ConnectionError):
            recalibrate(params)


def test_what_ends_before_the_decision_costs_nothing_again(params, states, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(params, monkeypatch, "contest")
    assert history(Home.from_env()) == []
    states.clear()
    again = recalibrate(params)
    assert (again.action, again.n_labelled) == ("promoted", 400)
    assert ("label", "Cached") in states
    assert ("label", "Completed") not in states


def test_what_ends_after_the_decision_is_told_by_the_next_night(
    params, states, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(params, monkeypatch, "publish_night")
    (entry,) = history(Home.from_env())
    again = recalibrate(params)
    assert (again.action, again.n_new) == ("quiet", 0)
    assert history(Home.from_env()) == [entry]
    nights = manifests(Home.from_env(), "recalibrate")
    told = [read_table(night.artifacts[NIGHT]).to_pylist()[0] for night in nights]
    assert [(row["run_id"], row["action"], row["n_labelled"]) for row in told] == [
        (entry.run_id, "promoted", 400),
        (again.run_id, "quiet", 0),
    ]

    # What a person decides repeats what the night's decision says of itself, and is no night that has to be told.
    append_entry(Home.from_env(), "rolled back", champion=entry.champion, after=1, lineage=entry.lineage)
    assert recalibrate(params).action == "quiet"
    assert manifests(Home.from_env(), "recalibrate")[:2] == nights


def test_of_two_nights_at_once_one_decides(params, states, monkeypatch: pytest.MonkeyPatch) -> None:
    real = night_flow.contest

    def slowly(*args: Any, **more: Any) -> Any:
        found = real(*args, **more)
        append_entry(Home.from_env(), "promoted", champion=found.calibrated, after=0)
        return found

    monkeypatch.setattr(night_flow, "contest", slowly)
    with pytest.raises(RegistryChanged):
        recalibrate(params)
    assert len(history(Home.from_env())) == 1


def test_an_unreadable_file_is_passed_over_and_named(params, states) -> None:
    (Path(params.inbox) / "half.jsonl").write_text('{"query": "whole"}\n{"query": "ha')
    (Path(params.inbox) / ".partial.jsonl").write_text("{")
    night = recalibrate(params)
    assert night.n_files == 2
    assert len(night.unreadable) == 1
    assert "half.jsonl" in night.unreadable[0]
    assert night.n_new == 400


def test_there_must_be_an_inbox(params, states) -> None:
    with pytest.raises(InboxMissing, match="--inbox"):
        recalibrate(params.model_copy(update={"inbox": params.inbox + "-elsewhere"}))
