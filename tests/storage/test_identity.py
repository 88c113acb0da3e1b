import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.examples import SPLITS as CALIB_SPLITS
from storage.identity import FRACTIONS, SPLITS, normalise, query_id, share_of, signature, split_of

TEXTS = [f"Which city lies {i} km from {i * 7919 % 10007}?" for i in range(20_000)]


@given(st.text())
def test_normalising_twice_changes_nothing_more(text):
    assert normalise(normalise(text)) == normalise(text)


def test_id_ignores_form_case_and_space_but_not_words():
    assert query_id("Caﬁ  ＡB\n") == query_id("cafi ab")
    assert query_id("what is it") != query_id("what is that")
    assert query_id("What is 2+2?") == "61a3385003d9b9d3"  # sha256 of "what is 2+2?"; stored, so it must never change


def test_fractions_hold():
    splits = [split_of(t) for t in TEXTS]
    for name, fraction in FRACTIONS.items():
        # four standard errors of a proportion at n = 20,000 are at most .014
        assert splits.count(name) / len(TEXTS) == pytest.approx(fraction, abs=0.014)
    assert set(splits) == set(SPLITS)


@pytest.mark.parametrize(
    "variants",
    [
        ("What is the capital of France?", "what's the capital of France", " What is the  capital of FRANCE ?"),
        ("What’s the capital of France", "the capital of france is what", "What is the capital of Fránce?!"),
        ("Où est né Molière ?", "OU EST NE MOLIERE"),
    ],
)
def test_near_identical_queries_share_split_and_share(variants):
    assert len({signature(v) for v in variants}) == 1
    assert len({split_of(v) for v in variants}) == 1
    assert len({share_of(v, "router") for v in variants}) == 1


def test_texts_without_words_of_their_own_still_differ():
    assert len({signature(t) for t in ("?!", "🙂", "🙃", "the")}) == 4


def test_shares_are_uniform_and_independent_of_the_split():
    shares = np.array([share_of(t, "router") for t in TEXTS])
    assert shares.min() >= 0
    assert shares.max() < 1
    counts = np.histogram(shares, bins=20, range=(0, 1))[0]
    # chi-square with 19 degrees of freedom: 43.8 is exceeded once in a thousand
    assert (((counts - 1000) ** 2) / 1000).sum() < 43.8
    train = np.array([split_of(t) == "train" for t in TEXTS])
    assert shares[train].mean() == pytest.approx(0.5, abs=0.013)


def test_another_process_agrees():
    code = "from storage.identity import *; print(query_id('Où ?'), split_of('Où ?'), share_of('Où ?', 'x'))"
    out = subprocess.run([sys.executable, "-X", "utf8", "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == [query_id("Où ?"), split_of("Où ?"), str(share_of("Où ?", "x"))]


def test_the_science_knows_the_same_splits():
    assert SPLITS == CALIB_SPLITS
    assert sum(FRACTIONS.values()) == pytest.approx(1)
