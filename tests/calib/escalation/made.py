"""Six queries to count by hand, and random ones of any size."""

import numpy as np
from hypothesis import strategies as st

from routecal.calib.escalation import Outcomes
from routecal.calib.need import need_by_confidence

S, C, A = 0, 1, 2  # indices into POLICIES: Standard, Complex, Ambiguous

#            row:        0    1    2    3    4    5
POLICY = np.array([S, S, C, A, S, C])
P = np.array([0.9, 0.4, 0.2, 0.4, 0.7, 0.8])
NEED = need_by_confidence(POLICY, P)  # -.9, -.4, inf, -.4, -.7, inf
SIX = Outcomes(
    medium_right=np.array([1.0, 0, 1, 0, 0, 0]),
    large_right=np.array([1.0, 1, 1, 0, 1, 1]),
    medium_cost=np.array([1.0, 1, 1, 1, 1, 1]),
    large_cost=np.array([10.0, 10, 10, 10, 10, 40]),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Outcomes, np.ndarray, np.ndarray]:
    """(outcomes, policy, need) of 1 to 60 rows, with ties, confidences of 0 and 1, and now and then a cheap large."""
    n = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    large_cost = rng.choice([0.5, 1.0, 4.0, 20.0], size=n) if draw(st.booleans()) else rng.uniform(5, 50, size=n)
    outcomes = Outcomes(
        medium_right=rng.integers(0, 2, n).astype(float),
        large_right=rng.integers(0, 2, n).astype(float),
        medium_cost=rng.choice([1.0, 2.0], size=n),
        large_cost=large_cost,
    )
    p = np.round(rng.random(n), 1) if draw(st.booleans()) else rng.random(n)
    policy = rng.integers(0, 3, n)
    return outcomes, policy, need_by_confidence(policy, p)


def simulated(n: int, seed: int, *, own_prices: bool = False) -> tuple[Outcomes, np.ndarray]:
    """(outcomes, need) of queries of known difficulty: medium is right with probability p, large with (2 + p) / 3.

    Need is -p, as by the confidence rule where the router sends everything to the medium model. Large costs ten times
    as much, or where `own_prices`, every answer has a price of its own, large from 5 to 20 and medium from 1 to 2.
    """
    rng = np.random.default_rng(seed)
    p = rng.beta(4, 2, n)
    medium, large = rng.random(n) < p, rng.random(n) < (2 + p) / 3
    costs = (rng.uniform(1, 2, n), rng.uniform(5, 20, n)) if own_prices else (np.ones(n), np.full(n, 10.0))
    return Outcomes(medium * 1.0, large * 1.0, *costs), -p
