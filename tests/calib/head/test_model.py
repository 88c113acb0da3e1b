import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.special import expit

from routecal.calib.checkpoint_errors import FeatureMismatch
from routecal.calib.errors import InvalidLabel, NonFinite
from routecal.calib.head import ConfidenceHead, HeadConfig, router_logit
from routecal.calib.head import model as model_module
from routecal.calib.learn import sft
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.recalibrate.platt import Platt, platt_parameters
from tests.calib.made import examples, fit

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


KINDS = pytest.mark.parametrize(
    "kind",
    [{}, {"pca": 3}, {"router_outputs": True}, {"pca": 2, "router_outputs": True, "residual": False}],
    ids=["plain", "pca", "outputs", "all"],
)


@KINDS
def test_same_seed_same_head_to_the_last_bit_after_training(kind):
    def trained() -> dict[str, torch.Tensor]:
        head = ConfidenceHead(HeadConfig(width=6, hidden_units=8, **kind), seed=3)
        fit(sft.steps, head, ROWS, examples(100, seed=5), SFTConfig(epochs=3, lr=1e-2))
        return head.state_dict()

    first, again = trained(), trained()
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)


@KINDS
def test_only_the_mlp_is_trained_and_its_width_is_what_it_reads(kind):
    head = made(**kind)
    assert {name for name, _ in head.named_parameters()} == {"first.weight", "first.bias", "last.weight", "last.bias"}
    x, offset = head.inputs(torch.from_numpy(ROWS.hidden), torch.from_numpy(ROWS.logits))
    assert x.shape == (300, head.config.n_inputs) == (300, head.first.in_features)
    assert x.abs().max() <= model_module.CLIP_STD
    torch.testing.assert_close(x.mean(0), torch.zeros(x.shape[1]), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std(0), torch.ones(x.shape[1]), atol=2e-3, rtol=0)
    assert offset.any() == head.config.residual


@KINDS
def test_residual_heads_start_as_the_router_whatever_they_read(kind):
    kind = {**kind, "residual": True}
    np.testing.assert_array_equal(
        made(**kind).confidence(ROWS.hidden, ROWS.logits), made().confidence(ROWS.hidden, ROWS.logits)
    )


def test_a_relu_head_is_two_products_and_a_maximum():
    head = made(residual=False, activation="relu").double()
    x = np.clip((ROWS.hidden - head.mean.numpy()) / head.std.numpy(), -8, 8)
    w, b, v, c = (p.detach().numpy() for p in (*head.first.parameters(), *head.last.parameters()))
    z = np.maximum(x @ w.T + b, 0) @ v[0] + c[0]
    np.testing.assert_allclose(head.confidence(ROWS.hidden, ROWS.logits), 1 / (1 + np.exp(-z)), rtol=1e-12)


def test_layers_and_poolings_side_by_side_are_one_wide_hidden_state():
    stacked = np.random.default_rng(0).normal(size=(300, 2, 3, 6)).astype(np.float32)  # layers, poolings, size
    wide = ConfidenceHead(HeadConfig(width=36, hidden_units=8, pca=4, residual=False))
    wide.fit_inputs(stacked.reshape(300, -1), ROWS.logits, ROWS.y)
    assert wide.confidence(stacked.reshape(300, 36), ROWS.logits).std() > 0


def test_blocks_do_not_change_a_confidence(monkeypatch):
    head = made(residual=False).double()
    expected = head.confidence(ROWS.hidden, ROWS.logits)
    monkeypatch.setattr(model_module, "FORWARD_ROWS", 7)
    np.testing.assert_allclose(head.confidence(ROWS.hidden, ROWS.logits), expected, rtol=1e-13)
    assert head.confidence(ROWS.hidden[:0], ROWS.logits[:0]).shape == (0,)


def test_read_only_and_half_precision_features_are_taken_as_they_are():
    head, frozen = made(residual=False), ROWS.hidden.copy()
    frozen.flags.writeable = False
    expected = head.confidence(ROWS.hidden, ROWS.logits)
    np.testing.assert_array_equal(head.confidence(frozen, ROWS.logits), expected)
    half = ROWS.hidden.astype(np.float16)
    np.testing.assert_allclose(head.confidence(half, ROWS.logits), expected, atol=1e-2)
    other = ConfidenceHead(HeadConfig(width=6, pca=2))
    other.fit_inputs(half, ROWS.logits, ROWS.y)
    torch.testing.assert_close(other.mean, head.mean, atol=1e-2, rtol=0)


def test_a_recalibrator_attached_is_applied_last():
    head = made()
    raw = head.confidence(ROWS.hidden, ROWS.logits)
    head.recalibrator = Platt(0.5, 0.1)
    np.testing.assert_array_equal(head.confidence(ROWS.hidden, ROWS.logits), Platt(0.5, 0.1)(raw))


def test_what_a_head_cannot_read_is_refused():
    hidden = ROWS.hidden.copy()
    hidden[7, 1] = np.nan
    with pytest.raises(NonFinite, match=r"1 of 300 rows \(first: 7\)"):
        made().confidence(hidden, ROWS.logits)
    with pytest.raises(FeatureMismatch, match="policies = 3, these have 2"):
        made(router_outputs=True).confidence(ROWS.hidden, ROWS.logits[:, :2])
    with pytest.raises(ValidationError, match="pca = 7 components of a hidden state 6 wide"):
        HeadConfig(width=6, pca=7)
