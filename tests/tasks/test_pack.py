"""What is packed decides as was measured, by either rule; another rule is another folder with the same heads."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.checkpoint_errors import NoOutcomeHead
from routecal.calib.learn.cross_fit import CrossFitPlan
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.packed_folder import serving_in
from routecal.calib.policy import DEFAULT_MAP
from routecal.calib.serving_rule import ServingRule
from routecal.calib.settings import Reading
from routecal.storage.artifact import Artifact, read_table
from routecal.storage.folder_artifact import local_folder
from routecal.tasks.night.health_check import decisions, share_escalated
from routecal.tasks.night.label_history import NightRows
from routecal.tasks.outcome import predict_outcomes, train_outcome_head
from routecal.tasks.pack import copy_packed, pack_router, with_rule
from routecal.tasks.train import train_sft
from tests.tasks.made import Made

UP = {"Ambiguous_Query": "large"}


@pytest.fixture
def heads(made: Made) -> tuple[Artifact, Artifact]:
    """The confidence head and the outcome head."""
    head = train_sft.fn(made.examples, made.features, CrossFitPlan(hidden_units=8), SFTConfig(epochs=2))
    return head, train_outcome_head.fn(made.examples, made.features)


@pytest.fixture
def by_gain(made: Made, heads: tuple[Artifact, Artifact]) -> Artifact:
    """Packed to decide by the gain at the median of the test rows'."""
    gain = in_test(predict_outcomes.fn(made.examples, made.features, heads[1]))["gain"].to_numpy()
    rule = ServingRule(threshold=float(np.median(gain)), decides_by="gain", threshold_from="a test")
    return pack_router.fn(heads[0], made.router, Reading(), rule, heads[1])


def in_test(table: Artifact) -> pa.Table:
    return read_table(table).filter(pa.compute.field("split") == "test")


def test_decisions_by_the_gain_are_those_of_the_predictions(
    made: Made, heads: tuple[Artifact, Artifact], by_gain: Artifact
) -> None:
    said = in_test(predict_outcomes.fn(made.examples, made.features, heads[1]))
    examples = in_test(made.examples)
    assert said["query_id"].to_pylist() == examples["query_id"].to_pylist()
    routed = CalibratedRouter.from_pretrained(local_folder(by_gain)).route(examples["query"].to_pylist())
    for name in ("gain", "medium_right", "large_right"):
        assert [getattr(d, name) for d in routed] == pytest.approx(said[name].to_pylist(), abs=2e-3)
    at = serving_in(local_folder(by_gain)).threshold
    clear = np.abs(said["gain"].to_numpy() - at) > 2e-3
    large = np.array([d.served_by == "large" for d in routed])
    assert np.array_equal(large[clear], (said["gain"].to_numpy() > at)[clear])
    assert 0 < large.sum() < len(large)


def test_a_night_counts_by_the_rule_that_serves(made: Made, by_gain: Artifact) -> None:
    rows = NightRows(examples=made.examples, features=made.features, labels=made.labels)
    table = read_table(made.examples)
    routed = CalibratedRouter.from_pretrained(local_folder(by_gain)).route(table["query"].to_pylist())
    found = decisions(by_gain, rows)
    assert (found.escalated != np.array([d.escalate for d in routed])).mean() < 0.03
    assert share_escalated(by_gain, rows) == found.escalated.mean()
    assert found.wrong.tolist() == [policy == "Complex_Query" for policy in table["true_policy"].to_pylist()]
    up = serving_in(local_folder(by_gain)).model_copy(update={"policy_map": DEFAULT_MAP.changed(UP)})
    true = table["true_policy"].to_pylist()
    assert decisions(with_rule.fn(by_gain, up), rows).wrong.tolist() == [one != "Standard_Query" for one in true]
    by_confidence = with_rule.fn(by_gain, ServingRule(threshold=0.5))
    routed = CalibratedRouter.from_pretrained(local_folder(by_confidence)).route(table["query"].to_pylist())
    found = decisions(by_confidence, rows)
    assert (found.escalated != np.array([d.confidence < 0.5 for d in routed])).mean() < 0.03
    assert found.wrong.tolist() == [not right for right in table["is_correct"].to_pylist()]


def test_another_rule_keeps_heads_router_and_reading(made: Made, by_gain: Artifact, tmp_path: Path) -> None:
    rule = ServingRule(threshold=-np.inf, decides_by="gain", threshold_from="by hand")
    again = with_rule.fn(by_gain, rule)
    before, after = (serving_in(local_folder(one)) for one in (by_gain, again))
    assert after == before.model_copy(update=dict(rule))
    assert after.router == f"../../routers/{Path(made.router.uri).name}" or after.router == made.router.uri
    copy_packed(again, str(tmp_path / "mine"))
    texts = read_table(made.examples)["query"].to_pylist()[:20]
    mine = CalibratedRouter.from_pretrained(tmp_path / "mine").route(texts)
    assert mine == CalibratedRouter.from_pretrained(local_folder(again)).route(texts)
    assert {d.served_by for d in mine} == {"large"}


def test_without_an_outcome_head_middle_layers_are_not_read_and_no_gain_decides(
    made: Made, heads: tuple[Artifact, Artifact]
) -> None:
    plain = pack_router.fn(heads[0], made.router, Reading(), ServingRule(threshold=0.5))
    assert CalibratedRouter.from_pretrained(local_folder(plain)).router.blocks == ("hidden",)
    for pack in (
        lambda rule: pack_router.fn(heads[0], made.router, Reading(), rule),
        lambda rule: with_rule.fn(plain, rule),
    ):
        with pytest.raises(NoOutcomeHead, match="run `routecal calibrate` on graded labels"):
            pack(ServingRule(threshold=0.1, decides_by="gain"))
