"""Drift is found where there is some, and hardly ever where there is none."""

import numpy as np
import pytest

from routecal.calib.errors import LengthMismatch
from routecal.calib.night.query_drift import columns, drift, principal_axes


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


def test_thirty_rows_on_a_side_are_enough() -> None:
    assert drift({"p": np.zeros(500)}, {"p": np.ones(30)}).is_found
    few = drift({"p": np.zeros(29)}, {"p": np.ones(500)})
    assert (few.column, few.statistic, few.is_found, few.n_before, few.n_now) == ("", 0.0, False, 29, 500)


def test_the_column_that_changed_most_is_named_wherever_it_stands_and_the_first_by_name_of_equals() -> None:
    same, other = np.linspace(0, 1, 50), np.linspace(0.5, 1, 50)
    assert drift({"a": same, "b": same}, {"a": same, "b": other}).column == "b"
    assert drift({"b": same, "a": same}, {"b": other, "a": other}).column == "a"


def test_a_p_value_is_multiplied_by_the_columns_and_at_most_one() -> None:
    same, other = np.linspace(0, 1, 50), np.linspace(0.5, 1, 50)
    alone, of_two = drift({"a": same}, {"a": other}), drift({"a": same, "b": same}, {"a": other, "b": same})
    assert of_two.p_value == pytest.approx(2 * alone.p_value)
    assert drift({"a": same, "b": same}, {"a": same, "b": same}).p_value == 1.0


def test_a_p_value_of_alpha_itself_is_no_drift() -> None:
    before, now = {"p": np.linspace(0, 1, 50)}, {"p": np.linspace(0.3, 1, 50)}
    p_value = drift(before, now).p_value
    assert not drift(before, now, alpha=p_value).is_found
    assert drift(before, now, alpha=np.nextafter(p_value, 1)).is_found


def test_what_is_watched_by_hand() -> None:
    # odds of 1 to 3: log(1/4) and log(3/4); two components of a row (2, 3, 5): 3 and 5
    table = columns([[2, 3, 5]], [[0.0, np.log(3)]], [0.7], axes=np.array([[0.0, 1, 0], [0, 0, 1]]))
    assert {name: column.tolist() for name, column in table.items()} == {
        "confidence": [0.7],
        "log probability of policy 0": [pytest.approx(np.log(0.25))],
        "log probability of policy 1": [pytest.approx(np.log(0.75))],
        "component 1 of the hidden state": [3.0],
        "component 2 of the hidden state": [5.0],
    }


def test_axes_are_of_centred_rows_eight_at_most_and_no_more_than_rows_or_columns() -> None:
    far = np.column_stack([np.full(40, 100.0), np.linspace(0, 1, 40)])  # all variance is in the second column
    assert np.abs(principal_axes(far)[0]) == pytest.approx([0, 1])
    assert len(principal_axes(far, k=1)) == 1
    rng = np.random.default_rng(0)
    assert [principal_axes(rng.random(shape)).shape for shape in ((20, 12), (3, 5), (20, 2))] == [
        (8, 12),
        (3, 5),
        (2, 2),
    ]


def test_no_columns_are_no_rows() -> None:
    nothing = drift({}, {})
    assert (nothing.is_found, nothing.n_before, nothing.n_now) == (False, 0, 0)
