"""What serves follows the registry while it routes: promoted, rolled back, damaged, gone."""

import logging
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from routecal.calib.head.head_folder import WEIGHTS
from routecal.calib.learn.cross_fit import CrossFitPlan
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.promise.asked import Promise
from routecal.calib.serving_rule import ServingRule
from routecal.calib.settings import Reading
from routecal.storage.artifact import Artifact
from routecal.storage.folder_artifact import local_folder
from routecal.storage.head_registry import ALARM, Action, append_entry, newest_entry
from routecal.storage.layout import Home
from routecal.tasks.errors import NothingServes
from routecal.tasks.guarantees import Basis
from routecal.tasks.make_router import refer_checkpoint
from routecal.tasks.pack import pack_router, with_rule
from routecal.tasks.serving import Champion
from routecal.tasks.train import train_sft
from tests.tasks.made import Made

ASKED = ["Who wrote Buddenbrooks?", "What is the capital of France?"]
Decide = Callable[[Artifact, Action], None]


@pytest.fixture
def packed(made: Made, router_checkpoint: Path) -> list[Artifact]:
    """Two heads of the same router, told apart by their thresholds."""
    head = train_sft.fn(made.examples, made.features, CrossFitPlan(hidden_units=8), SFTConfig(epochs=2))
    router = refer_checkpoint(str(router_checkpoint))
    return [pack_router.fn(head, router, Reading(), ServingRule(threshold=threshold)) for threshold in (0.25, 0.75)]


@pytest.fixture
def decide() -> Decide:
    def write(champion: Artifact, action: Action = "promoted") -> None:
        before = newest_entry(Home.from_env())
        append_entry(Home.from_env(), action, champion=champion, after=before.number if before else 0)

    return write


def thresholds(serving: Champion) -> set[float]:
    return {decision.threshold for decision in serving.route(ASKED)}


def test_nothing_serves_before_the_first_promotion() -> None:
    with pytest.raises(NothingServes, match=r"there is no folder .*; name the one that you mean with ROUTECAL_HOME"):
        Champion()
    Path(Home.from_env().root).mkdir()
    with pytest.raises(NothingServes, match=r"no head was promoted in .* yet; `routecal recalibrate`"):
        Champion()


def test_promotions_and_rollbacks_take_effect_without_a_restart(packed: list[Artifact], decide: Decide) -> None:
    decide(packed[0], "promoted")
    serving = Champion(look_every_s=0)
    assert thresholds(serving) == {0.25}
    before = serving.router
    decide(packed[0], "refused")
    assert thresholds(serving) == {0.25}
    assert serving.router is before  # nothing is loaded again for a decision that changes nothing
    decide(packed[1], "promoted")
    assert thresholds(serving) == {0.75}
    decide(packed[0], "rolled back")
    assert thresholds(serving) == {0.25}


def test_an_alarm_of_a_night_voids_the_guarantee_of_the_head_that_serves_on(made: Made, packed: list[Artifact]) -> None:
    promise = Promise(risk="kept", at_most=0.2, probability=0.9)
    basis = Basis(promise=promise, n=99, threshold=-0.5, kept=0.4, needs_sha256="a" * 64, labels_sha256="b" * 64)
    guaranteed = [with_rule.fn(packed[0], ServingRule(threshold=0.5, threshold_from=who), basis) for who in "ab"]

    def write(action: Action, champion: Artifact, alarm: str = "") -> None:
        before = newest_entry(Home.from_env())
        lineage = {ALARM: alarm} if alarm else {}
        after = before.number if before else 0
        append_entry(Home.from_env(), action, champion=champion, after=after, lineage=lineage)

    def said(serving: Champion) -> set[str]:
        return {decision.no_guarantee for decision in serving.route(ASKED)}

    write("promoted", guaranteed[0])
    serving = Champion(look_every_s=0)
    assert said(serving) == {""}
    write("alarm", guaranteed[0], "queries drifted")
    assert said(serving) == said(Champion()) == {"no guarantee: queries drifted"}
    write("promoted", guaranteed[1], "queries drifted")  # by hand, what waited until then
    assert said(serving) == said(Champion()) == {""}
    write("rolled back", guaranteed[0])
    assert said(serving) == said(Champion()) == {"no guarantee: queries drifted"}
    write("promoted", guaranteed[1])
    assert said(serving) == {""}
    write("refused", guaranteed[1], "it is off")  # as entered before alarms had entries of their own
    assert said(serving) == {"no guarantee: it is off"}


def test_it_looks_no_more_often_than_it_was_told(packed: list[Artifact], decide: Decide) -> None:
    decide(packed[0], "promoted")
    serving = Champion(look_every_s=3600)
    decide(packed[1], "promoted")
    assert thresholds(serving) == {0.25}


def test_a_head_that_cannot_be_opened_leaves_the_one_before_in_service(
    packed: list[Artifact], decide: Decide, caplog: pytest.LogCaptureFixture
) -> None:
    decide(packed[0], "promoted")
    serving = Champion(look_every_s=0)
    decide(packed[1], "promoted")
    folder = local_folder(packed[1])
    weights = folder / WEIGHTS
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    with caplog.at_level(logging.ERROR, "routecal.tasks.serving"):
        assert thresholds(serving) == thresholds(serving) == {0.25}
    assert len(caplog.records) == 1
    assert "the one before goes on" in caplog.text
    weights.write_bytes(whole)
    assert thresholds(serving) == {0.75}

    registry = Path(Home.from_env().folder("registry"))
    (registry / "000003.json").write_text("{")
    assert thresholds(serving) == {0.75}
    shutil.rmtree(registry)
    assert thresholds(serving) == {0.75}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"format": 3, "number": 2, "decision": {"by": "vote"}}', "a newer routecal wrote"),
        ('{"number": 2, "at": "2026-1', "it is not an entry"),
        ('{"number": 2, "at": "2199-01-01T00:00:00Z", "action": "promoted", "champion": null}', ""),
    ],
    ids=["newer version", "half written", "clock in the future"],
)
def test_a_registry_that_cannot_be_followed_leaves_the_head_in_service(
    packed: list[Artifact], decide: Decide, caplog: pytest.LogCaptureFixture, content: str, said: str
) -> None:
    decide(packed[0], "promoted")
    serving = Champion(look_every_s=0)
    entry = Path(Home.from_env().folder("registry")) / "000002.json"
    entry.write_text(content)
    with caplog.at_level(logging.ERROR, "routecal.tasks.serving"):
        assert thresholds(serving) == thresholds(serving) == {0.25}
    assert [said in record.getMessage() for record in caplog.records] == [True] * bool(said)
    entry.unlink()
    decide(packed[1], "promoted")
    assert thresholds(serving) == {0.75}


def test_threads_share_one_while_heads_change(packed: list[Artifact], decide: Decide) -> None:
    decide(packed[0], "promoted")
    serving = Champion(look_every_s=0)
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(thresholds, serving) for _ in range(20)]
        decide(packed[1], "promoted")
        asked += [threads.submit(thresholds, serving) for _ in range(20)]
        found = [answer.result() for answer in asked]
    assert all(len(one) == 1 for one in found)  # one head for all queries of a call
    assert thresholds(serving) == {0.75}
