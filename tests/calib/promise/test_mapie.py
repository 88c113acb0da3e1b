"""MAPIE 1.6.0 tests in the same order to the same end; where its answers differ, the two defects are shown.

Need is minus a confidence, of which MAPIE keeps what is at least its threshold. Its risk is precision, ours what is
missing of it.
"""

import warnings

import numpy as np
import pytest
from scipy.stats import binom

from routecal.calib.promise.walks import keep_at_most, least_rows
from tests.bench.promise_worlds import by_auroc

with warnings.catch_warnings():  # of its own imports
    warnings.simplefilter("ignore")
    from mapie.risk_control import (
        BinaryClassificationController,
        FWERFixedSequenceTesting,
        control_fwer,
        precision,
    )
    from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value

Array = np.ndarray
DELTA = 0.05


def rows(n: int, seed: int) -> tuple[Array, Array]:
    """Confidence and whether the decision was right, of a useful score."""
    need, medium, large = by_auroc(0.68, 2.0).draw(np.random.default_rng(seed), n)
    return -need, np.asarray(large <= medium, int)


def thresholds(p: Array, level: float) -> Array:
    """Confidences that our walk looks at, strict first; just below them, as rounding must not turn a row."""
    places = np.unique(np.ceil(np.arange(0.02, 1.01, 0.02) * len(p) - 1e-9).astype(int))
    return -np.sort(-p)[places[places >= least_rows(level, DELTA)] - 1] - 1e-9


def controller(p: Array, right: Array, *, level: float, **options: object) -> BinaryClassificationController:
    """MAPIE, calibrated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return BinaryClassificationController(
            lambda x: np.column_stack([1 - x[:, 0], x[:, 0]]),
            risk=precision,
            target_level=1 - level,
            confidence_level=1 - DELTA,
            **options,
        ).calibrate(p[:, None], right)


def exact(p: Array, right: Array, at: Array, level: float) -> Array:
    """(t,) binomial p-values of what is kept at each threshold."""
    return np.array([binom.cdf((1 - right)[p >= t].sum(), (p >= t).sum(), level) for t in at])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("level", "starts"), [(0.05, 1), (0.1, 3), (0.2, 3)])
def test_its_fixed_sequence_of_exact_p_values_ends_at_our_row(level: float, starts: int, seed: int) -> None:
    p, right = rows(1000, seed)
    at = thresholds(p, level)
    passed = control_fwer(exact(p, right, at, level), DELTA, FWERFixedSequenceTesting(n_starts=starts))
    kept = int((p >= at[max(passed)]).sum()) if len(passed) else 0
    assert keep_at_most(-p, 1 - right, level=level, delta=DELTA).n_kept == kept


@pytest.mark.parametrize("seed", range(4))
def test_its_controller_keeps_no_more_and_its_p_values_are_ours_or_larger(seed: int) -> None:
    p, right = rows(1000, seed)
    at = thresholds(p, 0.05)
    theirs = controller(p, right, level=0.05, list_predict_params=at, fwer_method="fixed_sequence")
    assert np.all(np.ravel(theirs.p_values) >= exact(p, right, at, 0.05) * (1 - 1e-6))
    kept = max((int((p >= t).sum()) for t in np.ravel(theirs.valid_predict_params)), default=0)
    assert kept <= keep_at_most(-p, 1 - right, level=0.05, delta=DELTA).n_kept


def test_defect_one_an_empty_threshold_stops_its_holm_where_its_bonferroni_passes() -> None:
    """No confidence reaches .99, the last of its own grid: nothing kept there, p-value NaN, and Holm begins with it."""
    p, right = np.repeat([0.4, 0.9], [100, 400]), np.repeat([0, 1], [100, 400])
    counts = {}
    for method in ("bonferroni", "bonferroni_holm"):
        counts[method] = np.size(controller(p, right, level=0.1, fwer_method=method).valid_predict_params)
    assert counts["bonferroni"] > 0
    assert counts["bonferroni_holm"] == 0  # it can never be fewer
    assert keep_at_most(-p, 1 - right, level=0.1, delta=DELTA).n_kept == 400


@pytest.mark.parametrize(("form", "share"), [("k/n", 0.025), ("1 - (n - k)/n", 0.41)])
def test_defect_two_it_rounds_one_error_up_to_two(form: str, share: float) -> None:
    n, k = (v.ravel() for v in np.meshgrid(np.arange(1, 301), np.arange(1, 61)))
    n, k = n[5 * k <= n], k[5 * k <= n]  # risks that one would promise
    risk = k / n if form == "k/n" else 1 - (n - k) / n
    one_too_many = np.ceil(n * risk) > k
    assert one_too_many.mean() == pytest.approx(share, abs=0.01)
    found = compute_hoeffding_bentkus_p_value(risk, n.astype(float), np.array([0.2]), binary=True).ravel()
    ours, inflated = binom.cdf(k, n, 0.2), binom.cdf(k + 1, n, 0.2)
    assert np.all((found >= ours * (1 - 1e-9)) & (found <= inflated * (1 + 1e-9)))
    assert np.allclose(found[~one_too_many], ours[~one_too_many])
    assert (found[one_too_many] > ours[one_too_many] * 1.001).mean() > 0.5
