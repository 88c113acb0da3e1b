"""Nights of recalibration on a real Prefect: what they gather, decide and tell."""

from pathlib import Path

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
from routecal.storage.folder_artifact import local_folder
from routecal.storage.head_registry import alarm_against_champion, append_entry, champion, history
from routecal.storage.layout import Home
from routecal.storage.manifest import manifests
from routecal.tasks.errors import NothingToPromote
from routecal.tasks.night import manual_decisions
from routecal.tasks.night.label_history import NIGHT
from routecal.tasks.night.night_report import headline
from routecal.tasks.serving import Champion
from tests.flows.inbox import drop
from tests.tasks.made import outcome_rows, write_jsonl

pytestmark = pytest.mark.usefixtures("plain_report")
WARM_START = ("SFT from the champion", "Completed")


def broken(params: RecalibrateParams, world: tuple[list[str], list[str]], start: int) -> RecalibrateParams:
    """From query `start` on, the judge finds every answer wrong."""
    asked, policies = world
    rows = outcome_rows(asked, policies)
    for row in rows[start:]:
        row["medium_label"] = row["large_label"] = "INCORRECT"
    path = write_jsonl(Path(params.inbox).parent / "broken.jsonl", rows)
    return params.model_copy(update={"outcomes": path, "recheck_nights": 1})


def test_a_head_is_promoted_serves_and_rests_while_all_is_well(first_night, night_world, states) -> None:
    first = recalibrate(first_night)
    assert (first.action, first.n_new, first.n_labelled) == ("promoted", 400, 400)
    (entry,) = history(Home.from_env())
    assert entry.champion is not None
    assert first.serving == entry.champion.sha256[:16]
    assert entry.reasons == first.reasons
    router = CalibratedRouter.from_pretrained(entry.champion.uri)
    (decision,) = router.route(night_world[0][:1])
    assert (decision.decides_by, decision.no_guarantee) == ("gain", "")
    assert str(decision.guarantee) == entry.lineage["promise"]
    assert decision.guarantee == Guarantee.model_validate(entry.lineage["guarantee"])
    assert manual_decisions.heads().rows[0]["why"].startswith(f"promise: {decision.guarantee}; ")

    # nothing new: nothing is asked, nothing is decided, and it is told all the same
    second = recalibrate(first_night)
    assert (second.action, second.n_new, second.n_labelled) == ("quiet", 0, 0)
    with get_client(sync_client=True) as client:
        name = FlowFilter(name=FlowFilterName(any_=["recalibrate"]))
        runs = client.read_flow_runs(flow_filter=name, sort=FlowRunSort.START_TIME_DESC, limit=2)
    messages = [run.state.message for run in runs if run.state is not None]
    assert messages == ["Nothing was labelled: the inbox holds no query without a label", headline(first)]
    assert len(history(Home.from_env())) == 1
    told = [m.artifacts[NIGHT] for m in manifests(Home.from_env(), "recalibrate")]
    assert [read_table(row)["action"][0].as_py() for row in told] == ["promoted", "quiet"]


def test_the_same_queries_are_labelled_once_and_the_night_s_number_is_kept(first_night, night_world, states) -> None:
    params = first_night.model_copy(update={"night_queries": 100})
    drop(params, night_world[0][:500], "tuesday.jsonl")
    nights = [recalibrate(params) for _ in range(2)]
    assert [(n.n_new, n.n_labelled, n.action) for n in nights] == [(500, 100, "gathering"), (400, 100, "gathering")]
    assert "of the 100 held-out rows that a decision takes are labelled; about" in nights[0].reasons[0]
    ids = [
        i
        for m in manifests(Home.from_env(), "recalibrate")
        for i in read_table(m.artifacts["labels"])["query_id"].to_pylist()
    ]
    assert len(ids) == len(set(ids)) == 200


def test_outcomes_that_change_while_queries_do_not_wait_for_a_person(first_night, night_world, states) -> None:
    params = first_night.model_copy(update={"renew_nights": 1, "brier_margin": 0.25})
    recalibrate(params)
    serving = champion(Home.from_env())
    drop(params, night_world[0][400:800], "tuesday.jsonl")
    doubted = recalibrate(broken(params, night_world, 400))
    assert doubted.action == "waiting"
    assert WARM_START not in states
    assert any("outcomes moved" in reason for reason in doubted.reasons)
    assert champion(Home.from_env()) == serving

    # what is doubted teaches nobody, and is not labelled again
    drop(params, night_world[0][800:], "wednesday.jsonl")
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


def test_an_alarm_is_raised_and_said_whatever_becomes_of_the_night(first_night, night_world, monkeypatch) -> None:
    recalibrate(first_night)
    serving = Champion(look_every_s=0)
    odd = [text for text in night_world[0][400:] if "odd" in text]
    drop(first_night, odd[:60], "tuesday.jsonl")
    with monkeypatch.context() as patch:
        patch.setattr(night_flow, "missing", lambda *_, **__: "too few")
        night = recalibrate(first_night)
    assert (night.action, night.reasons) == ("gathering", ("too few",))
    assert night.alarm.startswith("queries drifted")
    assert headline(night).endswith(f"nothing is promised of the serving head: {night.alarm}")
    first, alarm = history(Home.from_env())
    assert (alarm.action, alarm.champion, alarm.run_id) == ("alarm", first.champion, night.run_id)
    assert serving.route(night_world[0][:1])[0].no_guarantee == f"no guarantee: {night.alarm}"

    # It stands until another head serves, is entered once, and a decision is made upon it.
    recalibrate(first_night)  # which tests the new labels, and may find more
    entries = history(Home.from_env())
    quiet = recalibrate(first_night)
    assert (quiet.action, quiet.alarm) == ("quiet", alarm_against_champion(entries))
    assert history(Home.from_env()) == entries
    drop(first_night, odd[60:], "wednesday.jsonl")
    decided = recalibrate(first_night)
    *_, before, entry = history(Home.from_env())
    assert (before.action, entry.action, entry.run_id) == ("alarm", decided.action, decided.run_id)
    assert bool(decided.alarm) is (decided.action == "refused")


def test_a_night_of_before_outcome_heads_is_read_again_and_teaches_one(first_night, night_world) -> None:
    recalibrate(first_night.model_copy(update={"outcome_layers": ()}))
    old = champion(Home.from_env())
    assert old is not None
    assert not holds_outcome_head(local_folder(old))
    (decision,) = CalibratedRouter.from_pretrained(old.uri).route(night_world[0][:1])
    assert (decision.decides_by, decision.gain) == ("confidence", None)

    drop(first_night, night_world[0][400:500], "tuesday.jsonl")
    second = recalibrate(first_night.model_copy(update={"recheck_nights": 1, "renew_nights": 1, "call_rate": 0.3}))
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


def test_going_back_twice_goes_back_further(first_night, states) -> None:
    one, two, three = (recalibrate(first_night.model_copy(update={"seed": seed})) for seed in range(3))
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
