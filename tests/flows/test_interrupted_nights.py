"""Nights that are interrupted, that meet another, or whose inbox is not as it should be."""

from pathlib import Path
from typing import Any

import pytest

from routecal.flows import recalibrate as night_flow
from routecal.flows.night_params import RecalibrateParams
from routecal.flows.recalibrate import recalibrate
from routecal.storage.artifact import read_table
from routecal.storage.errors import RegistryChanged
from routecal.storage.head_registry import append_entry, history
from routecal.storage.layout import Home
from routecal.storage.manifest import manifests
from routecal.tasks.errors import InboxMissing
from routecal.tasks.night.label_history import NIGHT

pytestmark = pytest.mark.usefixtures("plain_report")


def interrupted(params: RecalibrateParams, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """A night that ends when it comes to this step."""

    def ends(*_: Any, **__: Any) -> None:
        raise ConnectionError("the machine went away")

    with monkeypatch.context() as patch:
        patch.setattr(night_flow, step, ends)
        with pytest.raises(ConnectionError):
            recalibrate(params)


def test_what_ends_before_the_decision_costs_nothing_again(first_night, states, monkeypatch) -> None:
    interrupted(first_night, monkeypatch, "contest")
    assert history(Home.from_env()) == []
    states.clear()
    again = recalibrate(first_night)
    assert (again.action, again.n_labelled) == ("promoted", 400)
    assert ("label", "Cached") in states
    assert ("label", "Completed") not in states


def test_what_ends_after_the_decision_is_told_by_the_next_night(first_night, states, monkeypatch) -> None:
    interrupted(first_night, monkeypatch, "publish_night")
    (entry,) = history(Home.from_env())
    again = recalibrate(first_night)
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
    assert recalibrate(first_night).action == "quiet"
    assert manifests(Home.from_env(), "recalibrate")[:2] == nights


def test_of_two_nights_at_once_one_decides(first_night, states, monkeypatch: pytest.MonkeyPatch) -> None:
    real = night_flow.contest

    def slowly(*args: Any, **more: Any) -> Any:
        found = real(*args, **more)
        append_entry(Home.from_env(), "promoted", champion=found.calibrated, after=0)
        return found

    monkeypatch.setattr(night_flow, "contest", slowly)
    with pytest.raises(RegistryChanged):
        recalibrate(first_night)
    assert len(history(Home.from_env())) == 1


def test_an_unreadable_file_is_passed_over_and_named(first_night, states) -> None:
    (Path(first_night.inbox) / "half.jsonl").write_text('{"query": "whole"}\n{"query": "ha')
    (Path(first_night.inbox) / ".partial.jsonl").write_text("{")
    night = recalibrate(first_night)
    assert night.n_files == 2
    assert len(night.unreadable) == 1
    assert "half.jsonl" in night.unreadable[0]
    assert night.n_new == 400


def test_there_must_be_an_inbox(first_night, states) -> None:
    with pytest.raises(InboxMissing, match="--inbox"):
        recalibrate(first_night.model_copy(update={"inbox": first_night.inbox + "-elsewhere"}))
