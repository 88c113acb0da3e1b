"""The protocol: parts and splits follow from numbers, never from labels or from each other's sizes."""

import numpy as np
import pytest

from routecal.calib.errors import InvalidProbability, LengthMismatch
from routecal.calib.trial.protocol import PARTS, draw_labelled, part_of


def shares(n, seed=0):
    return np.random.default_rng(seed).random(n)


def test_parts_have_their_fractions():
    part = part_of(shares(20_000))
    for name, fraction in PARTS.items():
        assert abs((part == name).mean() - fraction) < 0.01


def test_fewer_labels_are_among_more_and_keep_their_split():
    n = 3000
    part = part_of(shares(n))
    draws = {k: draw_labelled(part, shares(n, 1), shares(n, 2), labels=k) for k in (100, 500, 5000)}
    assert [len(d.rows) for d in draws.values()] == [100, 500, (part == "labelled").sum()]
    split = dict(zip(draws[5000].rows.tolist(), draws[5000].split.tolist(), strict=True))
    for draw in draws.values():
        assert [split[row] for row in draw.rows.tolist()] == draw.split.tolist()
        assert (part[draw.rows] == "labelled").all()


def test_labelled_rows_are_dealt_as_a_users_own():
    n = 30_000
    draw = draw_labelled(np.full(n, "labelled"), shares(n, 1), shares(n, 2), labels=n)
    found = [(draw.split == name).mean() for name in ("train", "calibration", "validation")]
    assert np.allclose(found, [40 / 70, 15 / 70, 15 / 70], atol=0.01)


def test_rows_of_one_share_stay_together():
    draw = draw_labelled(np.full(4, "labelled"), [0.1, 0.2, 0.3, 0.4], [0.6, 0.6, 0.1, 0.6], labels=4)
    assert draw.split.tolist() == ["calibration", "calibration", "train", "calibration"]


def test_refuses_what_is_no_share():
    with pytest.raises(InvalidProbability, match="share"):
        part_of([0.1, 1.5])
    with pytest.raises(LengthMismatch, match="deal has 1"):
        draw_labelled(np.array(["labelled", "test"]), [0.1, 0.2], [0.1], labels=1)
