"""What is packed beside the head decides as was measured."""

import numpy as np
import pyarrow as pa
import pytest

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.extra_cost import ExtraCost
from routecal.calib.settings import Reading
from routecal.folder_digest import folder_digest
from routecal.storage.artifact import Artifact, read_table
from routecal.storage.folder_artifact import local_folder
from routecal.tasks.escalation_result import JOINT, serving_rule
from routecal.tasks.evaluate import FINAL
from routecal.tasks.pack import pack_router
from routecal.tasks.train import open_head
from tests.tasks.escalation.measured import FLAT, HALF, changed, measured, parts
from tests.tasks.made import Made


def test_what_is_packed_decides_as_was_measured_by_the_joint_outcome(
    examples: Artifact, predictions: Artifact, gains: Artifact
) -> None:
    n = examples.rows
    tokens = read_table(examples)["n_tokens"].to_numpy()
    priced = changed(examples, medium_cost_usd=[0.0] * n, large_cost_usd=(0.001 * tokens + 0.01).tolist())
    found = measured(predictions, priced, HALF, outcomes=gains)
    rule = serving_rule(found, HALF, "somewhere")
    assert (rule.decides_by, rule.prices, rule.extra_cost) == ("gain", None, found.extra_cost)
    assert found.extra_cost.per_token / found.extra_cost.flat == pytest.approx(0.1)
    _, (_, _, gain) = parts(priced, gains, "gain")
    in_test = np.array(read_table(priced)["split"].to_pylist()) == "test"
    large = rule.escalates(np.zeros(len(gain)), gain, tokens[in_test])
    assert large.mean() == pytest.approx(found.methods[JOINT].point.large)
    assert 0 < large.mean() < 1
    assert rule.threshold_from == "somewhere, at most 1 point lost, with 50 %"
    flat = serving_rule(measured(predictions, examples, FLAT, outcomes=gains), FLAT, "")
    assert flat.prices is not None
    assert (flat.prices.medium, flat.prices.large, flat.extra_cost) == (1, 20, ExtraCost())


def test_what_is_packed_routes_as_was_measured(made: Made, head: Artifact, predictions: Artifact) -> None:
    rule = serving_rule(measured(predictions, made.examples), FLAT, "somewhere")
    packed = pack_router.fn(head, made.router, Reading(), rule)
    assert packed.kind == "calibrated"
    router = CalibratedRouter.from_pretrained(local_folder(packed))
    table = read_table(made.examples)
    # Labelled queries are told by the heads that left them out, new ones by all.
    table = table.filter(pa.compute.field("split") == "test")
    said = {r["query_id"]: r["p"] for r in read_table(predictions).to_pylist() if r["method"] == FINAL}
    decisions = router.route(table["query"].to_pylist())
    assert [d.policy.value for d in decisions] == table["router_policy"].to_pylist()
    assert [d.confidence for d in decisions] == pytest.approx(
        [said[i] for i in table["query_id"].to_pylist()], abs=2e-3
    )
    assert {(d.threshold, d.head_version) for d in decisions} == {(rule.threshold, head.sha256[:16])}
    assert router.serving.threshold_from.startswith("somewhere, at most 1 point lost")
    # a packed head is still a head, and the same one
    open_head(packed.model_copy(update={"kind": "heads"}), made.features)


def test_calib_and_storage_name_a_checkpoint_alike(made: Made) -> None:
    assert folder_digest(local_folder(made.router)) == made.router.sha256
