"""The start of a residual head: a temperature, a ridge regression on all that the router puts out, or between."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from routecal.calib.baselines.router_outputs import statistic
from routecal.calib.checkpoint_errors import FeatureMismatch
from routecal.calib.examples import Examples
from routecal.calib.head import ConfidenceHead, HeadConfig
from routecal.calib.head.head_inputs import CLIP_STD
from routecal.calib.head.residual_start import STRENGTH, fit_start, router_columns


def rows(n: int, *, seed: int = 0, scale: float = 2.0) -> Examples:
    """A router that is right on its first policy more often than on the others, whatever its logits say."""
    rng = np.random.default_rng(seed)
    logits = scale * rng.standard_normal((n, 3)).astype(np.float32)
    policy = logits.argmax(1)
    right = rng.random(n) < np.where(policy == 0, 0.9, 0.2)
    hidden = rng.standard_normal((n, 4)).astype(np.float32)
    return Examples(hidden, logits, policy, np.where(right, policy, (policy + 1) % 3), np.array(["train"] * n))


def test_the_columns_are_the_statistics_of_the_baselines_the_log_probabilities_and_the_choice() -> None:
    examples = rows(50)
    columns = router_columns(torch.from_numpy(examples.logits)).numpy()
    for i, name in enumerate(("max_prob", "entropy")):
        np.testing.assert_allclose(columns[:, i], statistic(examples, name, form="log_odds"), rtol=1e-9)
    np.testing.assert_allclose(np.exp(columns[:, 2:5]).sum(1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(columns[:, 5:], np.eye(3)[examples.policy])


@pytest.mark.parametrize("logits", [[1e4, 0.0, -1e4], [0.0, 0.0, 0.0], [-1e30, -1e30, 1e30]])
def test_extreme_logits_give_finite_columns(logits: list[float]) -> None:
    assert torch.isfinite(router_columns(torch.tensor([logits]))).all()


def test_before_training_the_head_is_its_start() -> None:
    examples, fresh = rows(400), rows(100, seed=1)
    head = ConfidenceHead(HeadConfig(width=4, hidden_units=8, start="outputs"))
    head.fit_inputs(examples.hidden, examples.logits, examples.y)
    columns = [router_columns(torch.from_numpy(e.logits)).numpy() for e in (examples, fresh)]
    start = fit_start(columns[0], examples.y)
    expected = expit((columns[1] - start.mean) / start.std @ start.weights + start.bias)
    np.testing.assert_allclose(head.confidence(fresh.hidden, fresh.logits), expected, atol=1e-5)


def test_a_router_right_on_one_policy_only_starts_from_the_ridge_regression() -> None:
    """It knows which policy can be trusted, which no function of the largest probability does."""
    examples, fresh = rows(400), rows(100, seed=1)
    columns = [router_columns(torch.from_numpy(e.logits)).numpy() for e in (examples, fresh)]
    mean, std = columns[0].mean(0), columns[0].std(0)
    ridge = LogisticRegression(C=STRENGTH, max_iter=2000).fit((columns[0] - mean) / std, examples.y)
    expected = ridge.predict_proba((columns[1] - mean) / std)[:, 1]
    head = ConfidenceHead(HeadConfig(width=4, hidden_units=8, start="outputs"))
    platt = ConfidenceHead(HeadConfig(width=4, hidden_units=8))
    for each in (head, platt):
        each.fit_inputs(examples.hidden, examples.logits, examples.y)
    np.testing.assert_allclose(head.confidence(fresh.hidden, fresh.logits), expected, atol=1e-3)
    briers = [np.square(h.confidence(fresh.hidden, fresh.logits) - fresh.y).mean() for h in (head, platt)]
    assert briers[0] < briers[1] - 0.05


def test_a_router_that_is_too_sure_everywhere_alike_starts_from_a_temperature() -> None:
    rng = np.random.default_rng(0)
    logits = 3 * rng.standard_normal((4000, 3))
    columns = router_columns(torch.from_numpy(logits)).numpy()
    y = (rng.random(4000) < expit(columns[:, 0] / 3)).astype(float)
    start = fit_start(columns, y)
    z = (columns - start.mean) / start.std @ start.weights + start.bias
    slope, at_zero = np.polyfit(columns[:, 0], z, 1)
    assert slope == pytest.approx(1 / 3, abs=0.04)
    assert at_zero == pytest.approx(0, abs=0.1)
    assert np.corrcoef(columns[:, 0], z)[0, 1] > 0.99


def test_where_one_row_alone_is_of_its_class_nothing_can_be_held_out_and_the_ridge_is_taken() -> None:
    examples = rows(40)
    columns = router_columns(torch.from_numpy(examples.logits)).numpy()
    y = np.zeros(40)
    y[0] = 1
    start = fit_start(columns, y)
    x = np.clip((columns - start.mean) / start.std, -CLIP_STD, CLIP_STD)
    ridge = LogisticRegression(C=STRENGTH, max_iter=2000).fit(x, y)
    np.testing.assert_allclose(start.weights, ridge.coef_[0], atol=1e-3)


def test_unfitted_it_is_the_routers_own_logit() -> None:
    head = ConfidenceHead(HeadConfig(width=2, hidden_units=4, start="outputs"))
    assert head(torch.zeros(1, 2), torch.tensor([[2.0, 0.0, -100.0]])).item() == pytest.approx(2.0, abs=1e-6)


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_one_class_gives_a_base_rate_short_of_certainty(right: float) -> None:
    start = fit_start(router_columns(torch.randn(9, 3, generator=torch.Generator())).numpy(), np.full(9, right))
    assert not start.weights.any()
    assert expit(start.bias) == pytest.approx(0.95 if right else 0.05)


def test_another_number_of_policies_is_refused() -> None:
    head = ConfidenceHead(HeadConfig(width=2, hidden_units=4, start="outputs"))
    with pytest.raises(FeatureMismatch, match="policies"):
        head.confidence(np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32))


def test_a_head_saved_before_there_was_a_choice_starts_from_its_logit() -> None:
    assert HeadConfig.model_validate({"width": 2, "hidden_units": 4, "dropout": 0.1, "residual": True}).start == "logit"
