"""What a rule is worth: savings and losses by hand, promises that are kept, resamples of the rows that were drawn."""

import numpy as np
import pytest

from routecal.calib.escalation.outcomes import Outcomes
from routecal.calib.promise.walks import loss_at_most
from routecal.calib.trial.decision_rows import Answer, Decided
from routecal.calib.trial.decision_scores import DELTA, MARGINS, Sample, oracle, score_rule

N = 1000


def sample(medium: np.ndarray, large: np.ndarray, labelled: np.ndarray) -> Sample:
    n = len(medium)
    return Sample(labelled, Outcomes(medium, large, np.ones(n), np.full(n, 20.0)), np.ones(n))


def ones(n: int) -> list[np.ndarray]:
    return [np.ones((1, n))]


def test_savings_losses_and_hindsight_by_hand() -> None:
    # 1,000 labelled rows without any loss allow everything; of ten test rows the last is lost
    medium, large = np.r_[np.ones(9), 0.0], np.ones(10)
    said = Answer(Decided(np.arange(N, dtype=float)), Decided(np.arange(10.0)))
    found = score_rule([said], [sample(medium, large, np.zeros(N))], [ones(10)], divisions=1)
    one = found.seeds[0].promised["1 point"]
    assert one.kept == 1
    assert one.saving == pytest.approx(1 - 10 / 200)
    assert one.quality == pytest.approx(-0.1)
    assert one.broken
    # nine kept: 9 of 200 plus one at 20
    assert one.hindsight == pytest.approx(1 - 29 / 200)
    assert found.seeds[0].area == 1
    assert found.resampled["saving, 1 point"].value[0] == pytest.approx(one.saving)
    assert found.resampled["quality, 1 point"].drawn[0, 0] == pytest.approx(-0.1)
    assert np.isnan(found.resampled["Brier, medium_right"].value[0])


def test_a_resample_is_the_rule_on_the_rows_it_drew() -> None:
    rng = np.random.default_rng(0)
    medium, large = ((rng.random(50) < q).astype(float) for q in (0.6, 0.8))
    p = rng.random(50)
    said = Answer(Decided(rng.random(N)), Decided(p, medium_right=p))
    labelled = np.where(rng.random(N) < 0.02, -1.0, 0.0)
    counts = rng.multinomial(50, np.full(50, 0.02), size=3).astype(float)
    found = score_rule([said], [sample(medium, large, labelled)], [[counts]], divisions=1).resampled
    for r, row in enumerate(counts.astype(int)):
        i = np.repeat(np.arange(50), row)
        again = Answer(said.labelled, Decided(p[i], medium_right=p[i]))
        alone = score_rule([again], [sample(medium[i], large[i], labelled)], [ones(50)], divisions=1).resampled
        for name, one in found.items():
            assert one.drawn[0, r] == pytest.approx(alone[name].value[0], nan_ok=True), name


def test_a_promise_is_kept_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    broken, margin = 0, MARGINS["2 points"]
    for _ in range(200):
        need = rng.random(N)
        # losses of a query are as likely as half its need: the true loss of keeping up to t is t² / 4
        lost = -(rng.random(N) < need / 2).astype(float)
        threshold = loss_at_most(need, lost, level=margin, delta=DELTA).threshold
        broken += max(threshold, 0) ** 2 / 4 > margin
    assert broken / 200 <= DELTA + 2 * (DELTA / 200) ** 0.5


def test_a_query_that_is_never_kept_is_not_kept_however_safe_it_would_be() -> None:
    need = np.r_[np.arange(500.0), np.full(500, np.inf)]
    right = np.ones(N)
    for one, share in ((need, 0.5), (np.full(N, np.inf), 0.0)):
        answer = Answer(Decided(one), Decided(one))
        (seed,) = score_rule([answer], [sample(right, right, np.zeros(N))], [ones(N)], divisions=1).seeds
        assert {promised.kept for promised in seed.promised.values()} == {share}


def test_the_oracle_is_the_best_there_is() -> None:
    rng = np.random.default_rng(2)
    medium, large = ((rng.random(300) < q).astype(float) for q in (0.6, 0.8))
    one = sample(medium, large, (rng.random(N) < 0.6).astype(float) - (rng.random(N) < 0.8))
    found = score_rule([oracle(one)], [one], [ones(300)], divisions=1).seeds[0]
    assert found.area == 1
    assert not found.promised["1 point"].broken
    assert found.promised["1 point"].saving > 0.5
