import json

import numpy as np
import pytest
import torch
from scipy.special import expit

from calib import head as head_module
from calib.errors import CheckpointMissing, FeatureMismatch, InvalidLabel
from calib.head import ConfidenceHead, HeadConfig, router_logit
from calib.recalibrate import Platt, platt_parameters
from tests.calib.made import examples

ROWS = examples(300)


def made(**kw) -> ConfidenceHead:
    head = ConfidenceHead(HeadConfig(width=6, hidden_units=8, **kw), seed=3)
    head.fit_inputs(ROWS.hidden, ROWS.logits, ROWS.y)
    return head


@pytest.mark.parametrize(
    ("logits", "z"),
    [
        ([0.0, 0.0, 0.0], -np.log(2)),  # pmax 1/3, odds 1/2
        ([np.log(2.0), 0.0, -100.0], np.log(2)),
        ([1000.0, 0.0, 0.0], 1000 - np.log(2)),  # pmax rounds to 1, its logit stays finite
        ([-1000.0, 0.0, -3000.0], 1000.0),
    ],
)
def test_router_logit_by_hand(logits, z):
    assert router_logit(torch.tensor([logits], dtype=torch.float64)).item() == pytest.approx(z)


def test_before_training_the_head_is_the_platt_scaled_router():
    x = router_logit(torch.as_tensor(ROWS.logits, dtype=torch.float64)).numpy()
    a, b = platt_parameters(x, ROWS.y.astype(float))
    np.testing.assert_allclose(made().confidence(ROWS.hidden, ROWS.logits), expit(a * x + b), atol=1e-6)


def test_inputs_are_standardised_and_constant_dimensions_become_zero():
    hidden = ROWS.hidden.copy()
    hidden[:, 2] = 0.1  # float32 .1 has a tiny std in float64 sums
    head = ConfidenceHead(HeadConfig(width=6))
    head.fit_inputs(hidden, ROWS.logits, ROWS.y)
    scaled = (torch.from_numpy(hidden) - head.mean) / head.std
    assert scaled[:, 2].abs().max() < 1e-5
    other = [0, 1, 3, 4, 5]
    torch.testing.assert_close(scaled[:, other].mean(0), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(scaled[:, other].std(0, correction=0), torch.ones(5), atol=1e-5, rtol=0)


def test_confidence_is_float64_finite_and_repeatable_even_for_wild_inputs():
    head = made(residual=False, dropout=0.5)
    hidden = np.full((2, 6), 1e30, np.float32)
    p = head.confidence(hidden, np.array([[1e4, 0, 0], [0, 0, 0]], np.float32))
    assert p.dtype == np.float64
    assert np.isfinite(p).all()
    assert (head.train().confidence(hidden, ROWS.logits[:2]) == head.eval().confidence(hidden, ROWS.logits[:2])).all()


def test_dropout_acts_only_with_a_generator():
    head = made(residual=False, dropout=0.5)
    h, logits = torch.from_numpy(ROWS.hidden), torch.from_numpy(ROWS.logits)
    dropped = [head(h, logits, generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1)]
    assert torch.equal(dropped[0], dropped[1])
    assert not torch.equal(dropped[0], dropped[2])
    assert torch.equal(head(h, logits), head(h, logits))


def test_same_seed_same_weights_and_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    a, b, c = (ConfidenceHead(HeadConfig(width=4, residual=False), seed=s) for s in (1, 1, 2))
    assert torch.equal(a.first.weight, b.first.weight)
    assert not torch.equal(a.first.weight, c.first.weight)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_another_width_is_refused_with_both_named():
    with pytest.raises(FeatureMismatch, match=r"width = 6, these have 5"):
        made().confidence(ROWS.hidden[:, :5], ROWS.logits)
    with pytest.raises(FeatureMismatch):
        made().fit_inputs(ROWS.hidden[:, :5], ROWS.logits, ROWS.y)
    with pytest.raises(InvalidLabel):
        made().fit_inputs(ROWS.hidden, ROWS.logits, ROWS.y * 2)


def test_inputs_fit_on_one_class_without_running_away():
    head = ConfidenceHead(HeadConfig(width=6))
    head.fit_inputs(ROWS.hidden, ROWS.logits, np.ones(len(ROWS)))
    p = head.confidence(ROWS.hidden, ROWS.logits)
    assert p.min() > 0.8
    assert np.isfinite(head.platt.numpy()).all()


def test_save_and_load_give_the_same_confidence(tmp_path):
    head, lineage = made(residual=False), {"sha256": ["ab", "cd"], "n": 3, "metrics": {"ece": 0.02}}
    head.save(tmp_path / "new" / "head", recalibrator=Platt(0.5, 0.1), lineage=lineage)
    loaded = head_module.load(tmp_path / "new" / "head")
    expected = head.confidence(ROWS.hidden, ROWS.logits)
    assert (loaded.head.confidence(ROWS.hidden, ROWS.logits) == expected).all()
    assert (loaded.confidence(ROWS.hidden, ROWS.logits) == Platt(0.5, 0.1)(expected)).all()
    assert loaded.recalibrator == Platt(0.5, 0.1)
    assert loaded.config["lineage"] == lineage
    assert bool(loaded.head.fitted)
    assert json.loads((tmp_path / "new" / "head" / "config.json").read_text())["head"]["width"] == 6
    assert "6 wide" in (tmp_path / "new" / "head" / "README.md").read_text()


def test_an_incomplete_folder_is_named(tmp_path):
    made().save(tmp_path, recalibrator=Platt(1, 0), lineage={})
    (tmp_path / "head.safetensors").unlink()
    with pytest.raises(CheckpointMissing, match=r"head\.safetensors"):
        head_module.load(tmp_path)
    with pytest.raises(CheckpointMissing):
        head_module.load(tmp_path / "nowhere")
