"""The recalibrators by name: how to fit one, how many rows it takes, how to write it down."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, ClassVar, NamedTuple, Protocol

from numpy.typing import ArrayLike

from routecal.calib.checks import FloatArray
from routecal.calib.errors import known
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


class Family(NamedTuple):
    """One row of the table below.

    Attributes:
        cls: what a fit gives; JSON is read back into it.
        fit: (p, y) to the map.
        least_rows: rows below which the family is no candidate of `choose`; it can still be fitted by name.
    """

    cls: type[Any]
    fit: Callable[[ArrayLike, ArrayLike], Recalibrator]
    least_rows: int


# From simple to flexible: the one-standard-error rule of `choose` walks in this order.
#
# Least rows: CalArena 2026 (1,159 binary runs) recomputed by n. Below 1,000 rows doing nothing beats isotonic and
# Venn-Abers; from 1,000 smooth maps with three parameters and more lead; isotonic becomes fair above 10,000; histogram
# never does (DESIGN 5.6).
_TABLE = (
    Family(Identity, fit_identity, 0),
    Family(Temperature, fit_temperature, 30),
    Family(Platt, fit_platt, 30),
    Family(ETS, fit_ets, 30),
    Family(Beta, fit_beta, 1_000),
    Family(Quadratic, fit_quadratic, 1_000),
    Family(Spline, fit_spline, 1_000),
    Family(Isotonic, fit_isotonic, 10_000),
    Family(VennAbers, fit_venn_abers, 10_000),
    Family(Histogram, fit_histogram, sys.maxsize),
)
FAMILIES: dict[str, type[Any]] = {family.cls.name: family.cls for family in _TABLE}
RECALIBRATORS: dict[str, Callable[[ArrayLike, ArrayLike], Recalibrator]] = {f.cls.name: f.fit for f in _TABLE}
LEAST_ROWS: dict[str, int] = {family.cls.name: family.least_rows for family in _TABLE}


def get_recalibrator(name: str) -> Callable[[ArrayLike, ArrayLike], Recalibrator]:
    """The fit of that name.

    Raises:
        UnknownName: no such recalibrator; lists those there are.

    >>> get_recalibrator("identity")([0.5], [1])
    Identity()
    """
    return known("recalibrator", name, RECALIBRATORS)


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
    made: Recalibrator = known("recalibrator", str(fields.get("name", "")), FAMILIES)(**parameters)
    return made
