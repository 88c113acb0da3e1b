"""Calibrated confidence for frozen LLM routers.

The names that most people need are here. Each is imported when it is first asked for, so `import routecal` alone loads
neither torch nor Prefect.

>>> from routecal import ConfidenceEstimator
>>> ConfidenceEstimator(pca=64)
ConfidenceEstimator(pca=64)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import version

    from routecal.calib.calibrated_router import CalibratedRouter as CalibratedRouter
    from routecal.calib.decision import Decision as Decision
    from routecal.calib.estimator import ConfidenceEstimator as ConfidenceEstimator
    from routecal.calib.head import ConfidenceHead as ConfidenceHead
    from routecal.calib.head import Ensemble as Ensemble
    from routecal.calib.outcome.estimator import OutcomeEstimator as OutcomeEstimator
    from routecal.calib.policy import Grade as Grade
    from routecal.calib.policy import Policy as Policy
    from routecal.root_error import RoutecalError as RoutecalError
    from routecal.tasks.serving import Champion as Champion

    __version__ = version("routecal")

_HOMES = {
    "CalibratedRouter": "routecal.calib.calibrated_router",
    "Champion": "routecal.tasks.serving",
    "ConfidenceEstimator": "routecal.calib.estimator",
    "ConfidenceHead": "routecal.calib.head",
    "Decision": "routecal.calib.decision",
    "Ensemble": "routecal.calib.head",
    "Grade": "routecal.calib.policy",
    "OutcomeEstimator": "routecal.calib.outcome.estimator",
    "Policy": "routecal.calib.policy",
    "RoutecalError": "routecal.root_error",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("routecal")
    if name not in _HOMES:
        raise AttributeError(f"module 'routecal' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
