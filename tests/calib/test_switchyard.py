"""What is written for Switchyard decides there as `CalibratedRouter` does here; what cannot be written is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from routecal.calib import switchyard
from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.checkpoint_errors import NotExportable
from routecal.calib.policy import DEFAULT_MAP, POLICIES, PolicyMap
from routecal.calib.recalibrate import RECALIBRATORS
from routecal.calib.router.frozen_router import FrozenRouter
from tests.calib.switchyard_made import ASKED, OWN_NAMES, UP, at_median, checkpoint, headed, loaded, opened, read


# Gemma's tokenizer begins every text with a special token, which the chat template has already; GPT-2's does not.
@pytest.fixture(scope="module", params=["gemma3", "gpt2"])
def router(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FrozenRouter:
    return opened(checkpoint(request.param, tmp_path_factory.mktemp(request.param)))


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> FrozenRouter:
    return opened(checkpoint("gemma3", tmp_path_factory.mktemp("gemma")))


CURVES = {
    "identity": RECALIBRATORS["identity"],
    "platt": RECALIBRATORS["platt"],
    "isotonic": RECALIBRATORS["isotonic"],
    "spline": RECALIBRATORS["spline"],
}


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("policy_map", [DEFAULT_MAP, UP], ids=["down", "up"])
def test_scores_and_decisions_are_those_of_the_calibrated_router(
    router: FrozenRouter, policy_map: PolicyMap, curve: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    p = rng.uniform(0.05, 0.95, 400)
    recalibrator = CURVES[curve](p, (rng.uniform(size=400) < p**2).astype(int))
    routed = at_median(headed(router, recalibrator=recalibrator, policy_map=policy_map))
    there = loaded(routed, tmp_path)
    scores = there.scores(ASKED)
    output = read(router)
    up = np.isin(output.policy, [POLICIES.index(policy) for policy in policy_map.to_large])
    raw = routed.head.head.raw_confidence(output.hidden, output.logits)
    confidence = recalibrator(raw)
    assert 10 < up.sum() < 190
    assert np.abs(scores[~up, 1] - raw[~up]).max() < 1e-5
    assert np.abs(recalibrator(scores[:, 1].astype(float))[~up] - confidence[~up]).max() < 1e-5
    assert scores[up, 1].max() < 1e-12
    assert np.ptp(scores[:, 0]) == 0
    large = routed.serving.escalates(confidence, None, output.n_tokens) | up
    assert there.choose(scores) == np.where(large, "large", "medium").tolist()
    # each alone, as the server asks
    assert np.abs(there.scores(ASKED[:20], batch_size=1) - scores[:20]).max() < 1e-5

    # the calibrated router itself reads states rounded to float16, which may move a confidence over the threshold
    decisions = routed.route(ASKED)
    told = np.array([decision.confidence for decision in decisions])
    moved = ((told < routed.serving.threshold) != (confidence < routed.serving.threshold)) & ~up
    same = np.array([d.model == name for d, name in zip(decisions, there.choose(scores), strict=True)])
    assert (same == ~moved).all()
    assert moved.mean() < 0.02
    assert {d.served_by for d in decisions} == {"medium", "large"}
    assert any(not d.escalate and d.served_by == "large" for d in decisions)  # sure of a policy that goes up


@pytest.mark.parametrize("bias", [-9.0, -3.1, -0.7, 0.0, 0.4, 2.3, 9.5])
def test_a_tie_keeps_the_query_there_as_it_does_here(gemma: FrozenRouter, bias: float, tmp_path: Path) -> None:
    routed = headed(gemma, recalibrator=RECALIBRATORS["platt"]([0.2, 0.4, 0.6], [0, 1, 1]))
    for member, head in enumerate(routed.head.head.heads):
        torch.nn.init.zeros_(head.last.weight)
        torch.nn.init.constant_(head.last.bias, bias + member / 7)
    tie = float(routed.head.confidence(read(gemma).hidden[:1], read(gemma).logits[:1])[0])
    for threshold, kept in ((tie, True), (tie * (1 - 1e-4), True), (tie + 0.05 * tie * (1 - tie), False)):
        serving = routed.serving.model_copy(update={"threshold": threshold})
        at = CalibratedRouter(gemma, routed.head, serving)
        there = loaded(at, tmp_path)
        chosen = there.choose(there.scores(ASKED[:60]))
        assert chosen == [decision.model for decision in at.route(ASKED[:60])]
        assert ("medium" in chosen) == kept
        assert "large" in chosen  # where the policy says so


def test_all_that_the_router_keeps_is_kept_and_a_threshold_above_all_is_refused(
    gemma: FrozenRouter, tmp_path: Path
) -> None:
    routed = headed(gemma, threshold=0.0, policy_map=OWN_NAMES)
    there = loaded(routed, tmp_path)
    assert there.content["models"] == ["pro", "flash"]  # without text to read, Switchyard takes the first
    assert there.choose(there.scores(ASKED)) == [OWN_NAMES.models[POLICIES[i]] for i in read(gemma).policy]
    with pytest.raises(NotExportable, match="no confidence reaches its threshold, so the large model serves all"):
        loaded(headed(gemma, threshold=1.01), tmp_path)


def test_what_members_share_is_stored_once(gemma: FrozenRouter, tmp_path: Path) -> None:
    sizes = [
        len(switchyard.as_bytes(switchyard.checkpoint_of(headed(gemma, members=m), encoder="x", path="here")))
        for m in (1, 9)
    ]
    d, units = gemma.width, 8
    own = 4 * ((units + 1) * (2 * d + 3) + 2 * d + 2 * units)  # bytes of a trunk, an adapter's bias and a head
    assert sizes[1] - sizes[0] < 8 * (own + 3000)  # and the names of ten tensors
