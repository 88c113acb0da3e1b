"""Drift is found where there is some, and hardly ever where there is none."""

import numpy as np
import pytest

from calib.drift import columns, drift, principal_axes
from calib.errors import LengthMismatch


def rows(n: int, rng: np.random.Generator, *, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(hidden, logits, p) whose first two dimensions carry most of the variance."""
    hidden = rng.standard_normal((n, 20)) * np.r_[5.0, 3.0, np.ones(18)]
    hidden[:, 0] += shift
    return hidden, hidden[:, :3], rng.random(n)


def found(shift: float, *, seed: int) -> bool:
    rng = np.random.default_rng(seed)
    before, now = rows(400, rng), rows(200, rng, shift=shift)
    axes = principal_axes(before[0])
    return drift(columns(*before, axes=axes), columns(*now, axes=axes)).is_found


def test_without_a_change_it_is_rare() -> None:
    assert sum(found(0.0, seed=seed) for seed in range(200)) <= 6  # 1 %: 2 expected


def test_a_shift_is_found() -> None:
    assert sum(found(4.0, seed=seed) for seed in range(20)) == 20


def test_it_names_what_changed_most() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(300)
    verdict = drift({"confidence": p, "other": p}, {"confidence": p**3, "other": p})
    assert verdict.is_found
    assert (verdict.column, verdict.n_before, verdict.n_now) == ("confidence", 300, 300)


def test_few_rows_are_no_evidence() -> None:
    verdict = drift({"p": np.zeros(500)}, {"p": np.ones(29)})
    assert not verdict.is_found
    assert verdict.p_value == 1


def test_log_probabilities_survive_saturated_routers() -> None:
    table = columns(np.zeros((2, 3)), [[1e4, 0.0], [0.0, 1e4]], [0.1, 0.9], axes=principal_axes(np.eye(3)))
    assert np.isfinite(np.array(list(table.values()))).all()


def test_tables_that_do_not_belong_together() -> None:
    with pytest.raises(LengthMismatch):
        drift({"a": np.zeros(40)}, {"b": np.zeros(40)})
    with pytest.raises(LengthMismatch):
        drift({"a": np.zeros(40), "b": np.zeros(39)}, {"a": np.zeros(40), "b": np.zeros(40)})
