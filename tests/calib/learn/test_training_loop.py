"""SFT and RL: the same promises hold for both loops."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from routecal.calib.checkpoint_errors import FeatureMismatch
from routecal.calib.errors import Collapsed, TooFewExamples, UnknownName
from routecal.calib.head import ConfidenceHead, HeadConfig
from routecal.calib.learn import rl, sft
from routecal.calib.learn.rl import PRESETS, RLConfig
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.learn.training_loop import TrainingRows, Watch
from routecal.calib.metrics import auroc, brier
from tests.calib.made import examples, fit

TRAIN, VALIDATION, FRESH = examples(600, seed=1), examples(300, seed=2), examples(3000, seed=3)
SFT = SFTConfig(epochs=15, lr=3e-3)
RL = RLConfig(epochs=15, lr=3e-3)
LOOPS = pytest.mark.parametrize(("loop", "cfg"), [(sft, SFT), (rl, RL)], ids=["sft", "rl"])


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def head(**kw) -> ConfidenceHead:
    return ConfidenceHead(HeadConfig(width=6, hidden_units=32, **kw))


def on(head: ConfidenceHead, rows) -> np.ndarray:
    return head.confidence(rows.hidden, rows.logits)


@LOOPS
def test_learns_what_the_hidden_state_adds(loop, cfg):
    trained, start = head(), head()
    start.fit_inputs(TRAIN.hidden, TRAIN.logits, TRAIN.y)
    fit(loop.steps, trained, TRAIN, VALIDATION, cfg)
    assert brier(on(trained, FRESH), FRESH.y) < brier(on(start, FRESH), FRESH.y) - 0.01
    assert auroc(on(trained, FRESH), FRESH.y) > auroc(on(start, FRESH), FRESH.y) + 0.03


@LOOPS
def test_never_worse_on_validation_than_the_start(loop, cfg):
    trained = head()
    trained.fit_inputs(TRAIN.hidden, TRAIN.logits, TRAIN.y)
    start = brier(on(trained, VALIDATION), VALIDATION.y)
    logs = fit(loop.steps, trained, TRAIN, VALIDATION, cfg.model_copy(update={"lr": 0.1, "patience": 2}))
    epochs = [log.validation_brier for log in logs if log.validation_brier is not None]
    assert brier(on(trained, VALIDATION), VALIDATION.y) == pytest.approx(min(start, *epochs), abs=1e-6)


@LOOPS
def test_same_seed_same_run_and_the_global_generator_is_left_alone(loop, cfg):
    before = torch.random.get_rng_state()
    runs = [
        fit(loop.steps, head(), TRAIN, VALIDATION, cfg.model_copy(update={"epochs": 2, "seed": s})) for s in (4, 4, 5)
    ]
    assert runs[0] == runs[1] != runs[2]
    assert torch.equal(torch.random.get_rng_state(), before)


@LOOPS
def test_one_record_per_step_and_validation_at_epoch_ends(loop, cfg):
    logs = fit(loop.steps, head(), TRAIN, VALIDATION, cfg.model_copy(update={"epochs": 3, "batch": 250, "patience": 9}))
    assert [log.step for log in logs] == list(range(1, 10))  # 600 rows: 250 + 250 + 100
    assert [log.epoch for log in logs] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert [log.validation_brier is not None for log in logs] == [False, False, True] * 3


@LOOPS
def test_stops_when_stale(loop, cfg):
    cfg = cfg.model_copy(update={"epochs": 200, "patience": 2})
    assert fit(loop.steps, head(), TRAIN, VALIDATION, cfg)[-1].epoch < 200


@LOOPS
def test_no_epochs_change_nothing_but_the_inputs(loop, cfg):
    trained = head()
    assert fit(loop.steps, trained, TRAIN, VALIDATION, cfg.model_copy(update={"epochs": 0})) == []
    assert bool(trained.fitted)


def test_inputs_stay_those_of_the_first_stage():
    trained = head()
    fit(sft.steps, trained, TRAIN, VALIDATION, SFT.model_copy(update={"epochs": 1}))
    mean = trained.mean.clone()
    fit(rl.steps, trained, examples(100, seed=9), VALIDATION, RL.model_copy(update={"epochs": 1}))
    assert torch.equal(trained.mean, mean)


@pytest.mark.parametrize("q", [0.3, 0.8])
@pytest.mark.parametrize("reward", ["brier", "log", "spherical"])
def test_proper_rewards_find_the_base_rate_where_there_is_nothing_else(reward, q):
    """A constant, trained by the loop's own gradient, lands within .03 of the true rate."""
    rng = torch.Generator().manual_seed(0)
    y = (torch.arange(500) < q * 500).float()
    z = torch.zeros((), requires_grad=True)
    optimiser = torch.optim.Adam([z], lr=0.05)
    for _ in range(200):
        loss = rl.estimate(z.expand(500), y, RLConfig(reward=reward), rng).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert z.sigmoid().item() == pytest.approx(q, abs=0.03)


def test_as_written_is_overconfident_and_runs_all_ten_epochs():
    trained, proper = head(), head()
    fit(sft.steps, trained, TRAIN, VALIDATION, SFT)
    proper.load_state_dict(trained.state_dict())
    logs = fit(rl.steps, trained, TRAIN, VALIDATION, PRESETS["as-written"])
    fit(rl.steps, proper, TRAIN, VALIDATION, PRESETS["proper"])
    assert logs[-1].epoch == 10
    assert on(trained, FRESH).mean() > FRESH.y.mean() + 0.05
    assert abs(on(proper, FRESH).mean() - FRESH.y.mean()) < 0.04
    assert {"policy_gradient", "calibration", "ranking"} == logs[0].terms.keys()


def test_collapse_is_raised_where_training_stops_early_and_recorded_where_not():
    harsh = PRESETS["as-written"].model_copy(
        update={"lr": 0.5, "calibration_weight": 0.0, "ranking_weight": 0.0, "epochs": 20}
    )
    logs = fit(rl.steps, head(), TRAIN, VALIDATION, harsh)
    assert logs[-1].collapsed
    with pytest.raises(Collapsed, match="rl collapsed"):
        fit(rl.steps, head(), TRAIN, VALIDATION, harsh.model_copy(update={"early_stopping": True, "patience": 20}))


def test_a_router_without_any_spread_is_not_called_collapsed_by_training():
    flat = examples(100, signal=0.0)
    flat = type(flat)(flat.hidden, np.zeros_like(flat.logits), flat.policy, flat.true_policy, flat.split)
    still = head()
    still.fit_inputs(flat.hidden, flat.logits, flat.y)
    watch = Watch("sft", still, TrainingRows.of(flat, still), patience=1, early_stopping=True)
    assert watch.epoch_end().collapsed  # said, not raised


def test_configs_refuse_what_they_do_not_know():
    with pytest.raises(ValidationError):
        RLConfig(reward="Linear")
    with pytest.raises(ValidationError):
        SFTConfig(learning_rate=1)
    with pytest.raises(UnknownName, match="as-written, proper"):
        rl.preset("improper")


def test_float64_heads_train_in_float64():
    trained = head().double()
    fit(rl.steps, trained, TRAIN, VALIDATION, RL.model_copy(update={"epochs": 1}))
    assert trained.first.weight.dtype == torch.float64


@LOOPS
def test_rows_that_nothing_can_be_learned_from_are_refused(loop, cfg):
    nothing, wide = TRAIN.only("test"), examples(50, width=7)
    for train, validation, error in (
        (nothing, VALIDATION, TooFewExamples),
        (TRAIN, nothing, TooFewExamples),
        (TRAIN, wide, FeatureMismatch),
    ):
        with pytest.raises(error):
            fit(loop.steps, head(), train, validation, cfg)
