"""Recalibrators: increasing maps p -> p fitted on held-out rows, chosen by cross-validated log loss.

A family is a frozen dataclass with `name`, `__call__` and JSON fields, a fit (p, y) -> instance, and one row in each of
FAMILIES, RECALIBRATORS and LEAST_ROWS. RECALIBRATORS is ordered from simple to flexible.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import expit

from calib.checks import FloatArray, checked, checked_p, logit
from calib.errors import UnknownName
from calib.metrics.proper import log_loss_rows


class Recalibrator(Protocol):
    """An increasing map of confidences that survives a round trip through JSON."""

    name: ClassVar[str]

    def __call__(self, p: ArrayLike) -> FloatArray: ...


@dataclass(frozen=True)
class Identity:
    """p as it is.

    >>> Identity()([0.25]).tolist()
    [0.25]
    """

    name: ClassVar[str] = "identity"

    def __call__(self, p: ArrayLike) -> FloatArray:
        return checked_p(p)


@dataclass(frozen=True)
class Temperature:
    """sigmoid(logit(p) / temperature): above 1 it moves every p towards .5. Guo et al. 2017, arXiv:1706.04599.

    >>> Temperature(2.0)([0.9]).round(4).tolist()  # odds 9 become odds 3
    [0.75]
    """

    temperature: float
    name: ClassVar[str] = "temperature"

    def __call__(self, p: ArrayLike) -> FloatArray:
        return np.asarray(expit(logit(checked_p(p)) / self.temperature))


@dataclass(frozen=True)
class Platt:
    """sigmoid(slope * logit(p) + intercept): also moves the mean. Platt 1999, on logits instead of SVM margins.

    >>> Platt(slope=1.0, intercept=0.0)([0.25]).round(12).tolist()
    [0.25]
    """

    slope: float
    intercept: float
    name: ClassVar[str] = "platt"

    def __call__(self, p: ArrayLike) -> FloatArray:
        return np.asarray(expit(self.slope * logit(checked_p(p)) + self.intercept))


def platt_parameters(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """(slope, intercept) of the regularised logistic regression of y on one logit x.

        min  sum_i log(1 + exp(-(2y_i - 1)(a x_i + b))) + (a-1)²/2 + b²/8,   a >= 0

    The normal priors a ~ N(1, 1), b ~ N(0, 4) say "leave it as it is" where rows are few or of one class, and weigh
    nothing at hundreds of rows. A negative slope would reverse the ranking on a whim of noise, so it is excluded.

    >>> a, b = platt_parameters(np.array([-1.0, 1.0] * 500), np.array([0.0, 1.0] * 250 + [1.0, 0.0] * 250))
    >>> round(a, 2), round(b, 2)  # x says nothing here
    (0.0, 0.0)
    """
    sign = 2 * y - 1

    def objective(ab: FloatArray) -> tuple[float, FloatArray]:
        a, b = ab
        slack = -sign * (a * x + b)
        pull = -sign * expit(slack)
        value = np.logaddexp(0, slack).sum() + (a - 1) ** 2 / 2 + b**2 / 8
        return float(value), np.array([pull @ x + (a - 1), pull.sum() + b / 4])

    best = minimize(objective, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)])
    return float(best.x[0]), float(best.x[1])


def fit_identity(p: ArrayLike, y: ArrayLike) -> Identity:
    """No fit at all; the candidate that every other one has to beat."""
    checked(p, y)
    return Identity()


def fit_temperature(p: ArrayLike, y: ArrayLike) -> Temperature:
    """Temperature of least log loss in [.05, 20], with the prior log T ~ N(0, 1) that decides where rows do not.

    >>> fit_temperature([0.9] * 4, [1, 1, 1, 0]).temperature > 1  # overconfident
    True
    """
    p, y = checked(p, y)
    x, sign = logit(p), 2 * y - 1

    def objective(s: FloatArray) -> tuple[float, FloatArray]:
        slack = -sign * x * np.exp(-s[0])
        return float(np.logaddexp(0, slack).sum() + s[0] ** 2 / 2), np.array([-(expit(slack) @ slack) + s[0]])

    best = minimize(objective, np.zeros(1), jac=True, method="L-BFGS-B", bounds=[(np.log(0.05), np.log(20))])
    return Temperature(float(np.exp(best.x[0])))


def fit_platt(p: ArrayLike, y: ArrayLike) -> Platt:
    """Slope and intercept by `platt_parameters` on logit(p)."""
    p, y = checked(p, y)
    slope, intercept = platt_parameters(logit(p), y)
    return Platt(slope, intercept)


FAMILIES: dict[str, type[Any]] = {cls.name: cls for cls in (Identity, Temperature, Platt)}

RECALIBRATORS: dict[str, Callable[[ArrayLike, ArrayLike], Recalibrator]] = {
    "identity": fit_identity,
    "temperature": fit_temperature,
    "platt": fit_platt,
}

# Rows below which a family is not even a candidate (DESIGN 5.6: flexible ones do harm at small n).
LEAST_ROWS: dict[str, int] = {"identity": 0, "temperature": 30, "platt": 30}


def get(name: str) -> Callable[[ArrayLike, ArrayLike], Recalibrator]:
    """The fit of that name.

    Raises:
        UnknownName: no such recalibrator; lists those there are.

    >>> get("identity")([0.5], [1])
    Identity()
    """
    if name not in RECALIBRATORS:
        raise UnknownName("recalibrator", name, RECALIBRATORS)
    return RECALIBRATORS[name]


def to_json(recalibrator: Recalibrator) -> dict[str, Any]:
    """A JSON object: the name and the parameters.

    >>> to_json(Temperature(2.0))
    {'name': 'temperature', 'temperature': 2.0}
    """
    return {"name": recalibrator.name, **asdict(recalibrator)}  # type: ignore[call-overload]


def from_json(fields: dict[str, Any]) -> Recalibrator:
    """The recalibrator that `to_json` wrote.

    Raises:
        UnknownName: the name is of no family here.

    >>> from_json({"name": "temperature", "temperature": 2.0})
    Temperature(temperature=2.0)
    """
    parameters = dict(fields)
    name = parameters.pop("name", "")
    if name not in FAMILIES:
        raise UnknownName("recalibrator", name, FAMILIES)
    made: Recalibrator = FAMILIES[name](**parameters)
    return made


@dataclass(frozen=True)
class Candidate:
    """One row of the table that `choose` decided by, in nats.

    Attributes:
        name: key of RECALIBRATORS.
        log_loss: mean over held-out rows.
        standard_error: of that mean.
        excess: mean log loss above the best candidate's, on the same rows; 0 for the best.
        excess_error: standard error of the excess.
    """

    name: str
    log_loss: float
    standard_error: float
    excess: float
    excess_error: float


@dataclass(frozen=True)
class Choice:
    """The recalibrator to use, fitted on all rows, and why; the table is empty where there was nothing to choose."""

    recalibrator: Recalibrator
    table: tuple[Candidate, ...]


def choose(p: ArrayLike, y: ArrayLike, *, seed: int = 0, n_folds: int = 10) -> Choice:
    """The simplest recalibrator whose cross-validated log loss is within one standard error of the best.

    The one-standard-error rule (Breiman et al. 1984) with the standard error of the paired difference: that of the log
    loss itself is mostly the difficulty of the rows, which all candidates share, and would always pick the identity.

    Args:
        p: (n,) confidence in [0, 1] on rows that did not train the head.
        y: (n,) {0, 1}.
        seed: of the private generator that deals rows to folds.
        n_folds: folds.

    Returns:
        Identity with an empty table when n < 30 or y has one class.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> choose([0.5, 0.5], [0, 1])
    Choice(recalibrator=Identity(), table=())
    """
    p, y = checked(p, y)
    names = [name for name, least in LEAST_ROWS.items() if len(p) >= least]
    if len(names) < 2 or y.min() == y.max():
        return Choice(Identity(), ())
    fold = np.random.default_rng(seed).permutation(len(p)) % n_folds
    rows = {name: np.empty(len(p)) for name in names}
    for name in names:
        for out in (fold == k for k in range(n_folds)):
            rows[name][out] = log_loss_rows(RECALIBRATORS[name](p[~out], y[~out])(p[out]), y[out])
    best = min(names, key=lambda name: rows[name].mean())
    table = tuple(
        Candidate(name, *_mean_and_error(rows[name]), *_mean_and_error(rows[name] - rows[best])) for name in names
    )
    chosen = next(c.name for c in table if c.excess <= c.excess_error)
    return Choice(RECALIBRATORS[chosen](p, y), table)


def _mean_and_error(rows: FloatArray) -> tuple[float, float]:
    return float(rows.mean()), float(rows.std(ddof=1) / np.sqrt(len(rows)))
