"""Training does today what it did when the trajectories were stored, and the same twice."""

import json

import pytest
import torch

from tests.calib.trajectories import CONFIGS, KEPT, STEPS, STORED, trained, trajectory

stored = json.loads(STORED.read_text(encoding="utf-8"))
each = pytest.mark.parametrize("name", CONFIGS)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@each
def test_fifty_steps_are_those_that_were_stored(name):
    now = trajectory(name)
    for field in KEPT:
        for step, (value, expected) in enumerate(zip(now[field], stored[name][field], strict=True), 1):
            close = expected if expected is None else pytest.approx(expected, rel=1e-9, abs=1e-12)
            assert value == close, (field, step)


def test_what_is_stored_moves_and_is_small():
    assert STORED.stat().st_size < 50_000
    assert stored.keys() == CONFIGS.keys()
    for name in CONFIGS:
        assert set(stored[name]) == set(KEPT)
        assert len(set(stored[name]["mean_p"])) == STEPS


@each
def test_same_seed_same_head_to_the_bit(name):
    (one, logs), (other, again) = trained(name), trained(name)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
    assert logs == again
