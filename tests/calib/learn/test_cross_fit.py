"""Cross-fitting: every row teaches, none judges its own teaching, and the ensemble is what its members say."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from routecal.calib.checkpoint_errors import FeatureMismatch
from routecal.calib.errors import OutOfRange
from routecal.calib.examples import Examples
from routecal.calib.head import ConfidenceHead, Ensemble, HeadConfig
from routecal.calib.learn import cross_fit, rl, sft
from routecal.calib.learn.cross_fit import CrossFitPlan, Deal, fold_of, n_folds, steps, unseen, untrained
from routecal.calib.learn.rl import RLConfig
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.metrics import brier
from tests.calib.made import examples, fit

SFT, RL = SFTConfig(epochs=6, lr=1e-2), RLConfig(epochs=2, lr=1e-3)
SPLITS = np.array(["train", "calibration", "validation"])
ROWS = replace(examples(600, seed=1), split=SPLITS[np.arange(600) % 3])
SHARED = replace(ROWS, share=np.random.default_rng(0).random(600))
FRESH = replace(examples(1500, seed=2), split=np.full(1500, "test"), share=np.random.default_rng(1).random(1500))


def fitted(rows: Examples = ROWS, *, seed: int = 0, **plan) -> Ensemble:
    made = CrossFitPlan(**{"hidden_units": 16, "folds": 0, **plan})
    deal = Deal.of(rows, folds=made.folds, seed=seed)
    ensemble = untrained(made, deal, seed=seed)
    list(steps(sft.steps, ensemble, deal, SFT.model_copy(update={"seed": seed}), rows=["train"]))
    list(steps(rl.steps, ensemble, deal, RL.model_copy(update={"seed": seed}), rows=["calibration"]))
    return ensemble


def on(model, rows: Examples = FRESH) -> np.ndarray:
    return model.confidence(rows.hidden, rows.logits)


def test_every_fold_validates_once_calibrates_once_and_trains_the_rest():
    deal = Deal.of(SHARED, folds=4)
    turns = deal.turns()
    assert len(turns) == 4
    for fold, turn in enumerate(turns):
        assert np.array_equal(turn.split == "validation", deal.fold == fold)
        assert np.array_equal(turn.split == "calibration", deal.fold == (fold + 1) % 4)
        assert set(turn.split[(deal.fold - fold) % 4 > 1]) == {"train"}
    assert Deal.of(SHARED, folds=0).turns() == [SHARED]


def test_rows_that_share_their_number_share_their_fold_in_whatever_company():
    deal = Deal.of(replace(SHARED, share=SHARED.share.round(1) % 1), folds=5)
    assert len({(s, f) for s, f in zip(deal.rows.share, deal.fold, strict=True)}) == 10
    half = Deal.of(SHARED.where(np.arange(600) < 300), folds=5)
    assert np.array_equal(half.fold, Deal.of(SHARED, folds=5).fold[:300])
    # Without one, rows are dealt evenly, by the seed.
    sizes = np.bincount(Deal.of(ROWS, folds=5, seed=3).fold)
    assert sizes.tolist() == [120] * 5
    assert not np.array_equal(Deal.of(ROWS, folds=5, seed=3).fold, Deal.of(ROWS, folds=5, seed=4).fold)


@pytest.mark.parametrize(
    ("asked", "n", "found"),
    [(None, 99, 0), (None, 100, 5), (None, 20_000, 5), (None, 20_001, 0), (0, 500, 0), (3, 9, 3)],
)
def test_folds_follow_from_the_number_of_rows(asked, n, found):
    assert n_folds(asked, n) == found


@pytest.mark.parametrize("asked", [1, 2, 21])
def test_folds_that_leave_none_to_train_on_are_refused(asked):
    with pytest.raises(OutOfRange, match="0, or 3 to 20"):
        n_folds(asked, 500)
    assert fold_of(np.array([1.0 - 2**-53]), 20).tolist() == [19]


def test_more_components_than_the_states_are_wide_are_refused_before_training():
    deal = Deal.of(FRESH, folds=3)
    width = FRESH.hidden.shape[1]
    assert untrained(CrossFitPlan(pca=width), deal).members == 3
    with pytest.raises(OutOfRange, match=rf"pca = {width + 1} is not allowed; give at most {width}, which is how wide"):
        untrained(CrossFitPlan(pca=width + 1), deal)


def test_no_head_learns_from_the_rows_that_it_validates():
    """Other outcomes there change what its early stopping may choose, and with none of that, nothing."""
    blind = SFTConfig(epochs=3, lr=1e-2, early_stopping=False)
    deal = Deal.of(SHARED, folds=3)
    for fold in range(3):
        spoiled = np.where(deal.fold == fold, (SHARED.true_policy + 1) % 3, SHARED.true_policy)
        found = []
        for rows in (SHARED, replace(SHARED, true_policy=spoiled)):
            ensemble = untrained(CrossFitPlan(hidden_units=8, folds=3), own := Deal.of(rows, folds=3))
            list(steps(sft.steps, ensemble, own, blind, rows=["train", "calibration"]))
            found.append(ensemble)
        same = [torch.equal(a.first.weight, b.first.weight) for a, b in zip(*(e.heads for e in found), strict=True)]
        assert same == [i == fold for i in range(3)]


def test_a_row_is_told_by_the_heads_that_left_it_out_and_test_rows_by_all():
    ensemble = fitted(SHARED, folds=3, members=2)
    assert ensemble.members == 6
    p, y = Deal.of(SHARED, folds=3).held_out(ensemble)
    assert np.array_equal(y, SHARED.y)
    members = ensemble.member_confidences(SHARED.hidden, SHARED.logits)
    for fold in range(3):
        mine = fold_of(SHARED.share, 3) == fold
        np.testing.assert_allclose(p[mine], members[2 * fold : 2 * fold + 2].mean(0)[mine], rtol=1e-15)
    np.testing.assert_array_equal(unseen(ensemble, SHARED), p)
    np.testing.assert_array_equal(unseen(ensemble, FRESH), on(ensemble))


def test_without_folds_the_held_out_rows_are_those_that_sft_did_not_see():
    ensemble = fitted(SHARED)
    held_out = SHARED.only("calibration", "validation")
    p, y = Deal.of(SHARED, folds=0).held_out(ensemble)
    np.testing.assert_array_equal(p, on(ensemble, held_out))
    np.testing.assert_array_equal(y, held_out.y)
    np.testing.assert_array_equal(unseen(ensemble, SHARED), on(ensemble, SHARED))


def test_out_of_fold_confidence_is_honest_where_the_ensemble_s_own_is_not():
    """On random labels a head that has seen them looks good; what is told out of fold does not."""
    rng = np.random.default_rng(0)
    noise = replace(SHARED, true_policy=rng.integers(0, 3, 600), hidden=rng.normal(size=(600, 200)).astype(np.float32))
    deal = Deal.of(noise, folds=5)
    ensemble = untrained(CrossFitPlan(folds=5), deal)
    blind = SFTConfig(epochs=30, lr=1e-3, early_stopping=False)
    list(steps(sft.steps, ensemble, deal, blind, rows=["train", "calibration"]))
    base = noise.y.mean() * (1 - noise.y.mean())
    assert brier(on(ensemble, noise), noise.y) < 0.5 * base
    assert brier(deal.held_out(ensemble)[0], noise.y) > base


def test_one_head_is_what_the_loops_train_alone():
    alone = ConfidenceHead(HeadConfig(width=6, hidden_units=16, start="outputs"), seed=4)
    fit(sft.steps, alone, ROWS.only("train"), ROWS.only("validation"), SFT.model_copy(update={"seed": 4}))
    fit(rl.steps, alone, ROWS.only("calibration"), ROWS.only("validation"), RL.model_copy(update={"seed": 4}))
    two = fitted(members=2, seed=4)
    np.testing.assert_array_equal(on(two.heads[0]), on(alone))
    np.testing.assert_array_equal(on(fitted(seed=4)), on(alone))


def test_same_seed_same_ensemble_and_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    a, b, c = fitted(folds=3, seed=1), fitted(folds=3, seed=1), fitted(folds=3, seed=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a.tensors()[name], b.tensors()[name]) for name in a.tensors())
    assert not torch.equal(a.heads[1].first.weight, c.heads[1].first.weight)
    assert not torch.equal(a.heads[0].first.weight, a.heads[1].first.weight)


def test_the_records_say_which_head_they_are_of():
    deal = Deal.of(ROWS, folds=3)
    log = list(
        steps(sft.steps, untrained(CrossFitPlan(folds=3, members=2), deal), deal, SFTConfig(epochs=1), rows=["train"])
    )
    assert [step.head for step in log] == sorted(step.head for step in log)
    assert {step.head for step in log} == set(range(6))
    assert min(step.step for step in log if step.head == 5) == 1


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
    heads = [ConfidenceHead(HeadConfig(width=6, hidden_units=units)) for units in (16, 8)]
    with pytest.raises(FeatureMismatch, match="hidden_units=8"):
        Ensemble(heads)
    with pytest.raises(OutOfRange, match="a multiple of the 3 folds"):
        Ensemble(heads[:1] * 4, folds=3)
    with pytest.raises(FeatureMismatch, match="width = 6, these have 5"):
        on(fitted(), replace(FRESH, hidden=FRESH.hidden[:, :5]))


def test_seeds_of_neighbouring_ensembles_do_not_meet():
    taken = [own for seed in range(50) for _, own in zip(range(20), cross_fit.seeds(seed), strict=False)]
    assert len(set(taken)) == 1000
