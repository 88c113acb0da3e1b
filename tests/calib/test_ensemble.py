import numpy as np
import pytest
import torch

from calib import ensemble, rl, sft
from calib.errors import FeatureMismatch, TooFewExamples
from calib.head import ConfidenceHead, Ensemble, HeadConfig
from calib.metrics import brier
from calib.rl import RLConfig
from calib.sft import SFTConfig
from tests.calib.made import examples

TRAIN, CALIBRATION, VALIDATION, FRESH = (examples(n, seed=n) for n in (201, 202, 203, 1500))
CONFIG = HeadConfig(width=6, hidden_units=16)
SFT, RL = SFTConfig(epochs=6, lr=1e-2), RLConfig(epochs=2, lr=1e-3)


def fitted(**kw) -> Ensemble:
    return ensemble.fit(CONFIG, TRAIN, CALIBRATION, VALIDATION, sft_config=SFT, rl_config=RL, **kw)


def on(model, rows=FRESH) -> np.ndarray:
    return model.confidence(rows.hidden, rows.logits)


def test_the_first_member_is_the_head_that_one_would_train_alone():
    alone = ConfidenceHead(CONFIG, seed=4)
    sft.fit(alone, TRAIN, VALIDATION, SFT.model_copy(update={"seed": 4}))
    rl.fit(alone, CALIBRATION, VALIDATION, RL.model_copy(update={"seed": 4}))
    two = fitted(members=2, seed=4)
    np.testing.assert_array_equal(on(two.heads[0]), on(alone))
    np.testing.assert_array_equal(on(fitted(seed=4)), on(alone))


def test_same_seed_same_ensemble_and_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    a, b, c = fitted(members=2, seed=1), fitted(members=2, seed=1), fitted(members=2, seed=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a.tensors()[name], b.tensors()[name]) for name in a.tensors())
    assert not torch.equal(a.heads[1].first.weight, c.heads[1].first.weight)
    assert not torch.equal(a.heads[0].first.weight, a.heads[1].first.weight)


def test_the_mean_is_of_probabilities_and_never_worse_in_brier_than_the_members_on_average():
    three = fitted(members=3)
    members = np.stack([on(head) for head in three.heads])
    np.testing.assert_array_equal(on(three), members.mean(0))
    np.testing.assert_array_equal(three.spread(FRESH.hidden, FRESH.logits), members.std(0))
    gain = np.mean([brier(p, FRESH.y) for p in members]) - brier(on(three), FRESH.y)
    assert gain == pytest.approx(members.var(0).mean(), rel=1e-9)  # the ambiguity decomposition
    assert gain > 0


def test_spread_is_zero_with_one_member_and_larger_where_there_was_no_data():
    assert not fitted().spread(FRESH.hidden, FRESH.logits).any()
    three = fitted(members=3)
    strange = FRESH.hidden + 12 * np.sign(FRESH.hidden - 3).astype(np.float32)  # six deviations out
    assert three.spread(strange, FRESH.logits).mean() > 2 * three.spread(FRESH.hidden, FRESH.logits).mean()


def test_what_is_no_ensemble_is_refused():
    with pytest.raises(TooFewExamples):
        fitted(members=0)
    with pytest.raises(TooFewExamples):
        Ensemble([])
    with pytest.raises(FeatureMismatch, match="hidden_units=8"):
        Ensemble([ConfidenceHead(CONFIG), ConfidenceHead(HeadConfig(width=6, hidden_units=8))])
    with pytest.raises(FeatureMismatch, match="width = 6, these have 5"):
        fitted().confidence(FRESH.hidden[:, :5], FRESH.logits)


def test_seeds_of_neighbouring_ensembles_do_not_meet():
    taken = [own for seed in range(50) for _, own in zip(range(20), ensemble.seeds(seed), strict=False)]
    assert len(set(taken)) == 1000
