"""The recalibrators by name: how to fit one, how many rows it takes, how to write it down."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, ClassVar, Protocol

from numpy.typing import ArrayLike

from routecal.calib.checks import FloatArray
from routecal.calib.errors import UnknownName
from routecal.calib.recalibrate.beta import Beta, fit_beta
from routecal.calib.recalibrate.ets import ETS, fit_ets
from routecal.calib.recalibrate.histogram import Histogram, fit_histogram
from routecal.calib.recalibrate.identity import Identity, fit_identity
from routecal.calib.recalibrate.isotonic import Isotonic, fit_isotonic
from routecal.calib.recalibrate.platt import Platt, fit_platt
from routecal.calib.recalibrate.quadratic import Quadratic, fit_quadratic
from routecal.calib.recalibrate.spline import Spline, fit_spline
from routecal.calib.recalibrate.temperature import Temperature, fit_temperature
from routecal.calib.recalibrate.venn_abers import VennAbers, fit_venn_abers


class Recalibrator(Protocol):
    """A non-decreasing map of confidences that survives a round trip through JSON (`to_json`)."""

    name: ClassVar[str]

    def __call__(self, p: ArrayLike) -> FloatArray: ...


FAMILIES: dict[str, type[Any]] = {
    cls.name: cls
    for cls in (Identity, Temperature, Platt, ETS, Beta, Quadratic, Spline, Isotonic, VennAbers, Histogram)
}

# From simple to flexible: the one-standard-error rule of `choose` walks in this order.
RECALIBRATORS: dict[str, Callable[[ArrayLike, ArrayLike], Recalibrator]] = {
    "identity": fit_identity,
    "temperature": fit_temperature,
    "platt": fit_platt,
    "ets": fit_ets,
    "beta": fit_beta,
    "quadratic": fit_quadratic,
    "spline": fit_spline,
    "isotonic": fit_isotonic,
    "venn_abers": fit_venn_abers,
    "histogram": fit_histogram,
}

# Rows below which a family is not even a candidate of `choose`; each can still be fitted by name. CalArena 2026 (1,159
# binary runs) recomputed by n: below 1,000 rows doing nothing beats isotonic and Venn-Abers; from 1,000 smooth maps
# with three parameters and more lead; isotonic becomes fair above 10,000; histogram never does (DESIGN 5.6).
LEAST_ROWS: dict[str, int] = {
    "identity": 0,
    "temperature": 30,
    "platt": 30,
    "ets": 30,
    "beta": 1_000,
    "quadratic": 1_000,
    "spline": 1_000,
    "isotonic": 10_000,
    "venn_abers": 10_000,
    "histogram": sys.maxsize,
}


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
    # JSON knows no tuples; lists would make the frozen dataclass unequal to the one written, and unhashable
    parameters = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items() if k != "name"}
    name = str(fields.get("name", ""))
    if name not in FAMILIES:
        raise UnknownName("recalibrator", name, FAMILIES)
    made: Recalibrator = FAMILIES[name](**parameters)
    return made
