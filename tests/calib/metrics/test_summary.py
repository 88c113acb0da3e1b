import numpy as np
import pytest

from routecal.calib.metrics import METRICS, Estimate, Summary, brier_parts, kuiper_test, spiegelhalter_test, summarise

RNG = np.random.default_rng(2)
P = RNG.beta(6, 2, 1000)
Y = (RNG.random(1000) < P).astype(float)


def test_calibrated_confidence_stays_in_its_noise_band_and_shifted_does_not():
    assert summarise(P, Y, n_replicates=200).ece_in_noise_band
    assert not summarise(P**0.5, Y, n_replicates=200).ece_in_noise_band


def test_values_are_those_of_the_metrics():
    s = summarise(P, Y, n_replicates=50)
    named = METRICS.keys() & Summary.model_fields.keys()
    assert {"ece", "brier", "auroc", "aurc", "augrc", "smooth_ece", "decision_accuracy"} <= named
    for name in named:
        found = getattr(s, name)
        if isinstance(found, Estimate):
            assert found.low < found.high
            found = found.value
        assert found == METRICS[name].fn(P, Y)
    assert (s.reliability, s.resolution, s.uncertainty) == brier_parts(P, Y)[1:4]
    assert s.kuiper_p == kuiper_test(P, Y).p_value
    assert (s.spiegelhalter_z, s.spiegelhalter_p) == spiegelhalter_test(P, Y)
    assert (s.n, s.mean_p, s.accuracy) == (1000, pytest.approx(P.mean()), pytest.approx(Y.mean()))
    assert s.decision_accuracy == pytest.approx(((P >= 0.5) == Y).mean())


def test_one_class_is_summarised_without_made_up_numbers():
    s = summarise([0.9, 0.8, 0.7], [1, 1, 1], n_replicates=20)
    assert s.auroc is None
    assert s.brier_skill is None
    assert s.accuracy == 1


@pytest.mark.parametrize(("p", "y"), [(P, Y), ([1.0, 1.0], [1, 0]), ([0.5], [1])])
def test_survives_json(p, y):
    s = summarise(p, y, n_replicates=20)
    assert Summary.model_validate_json(s.model_dump_json()) == s
