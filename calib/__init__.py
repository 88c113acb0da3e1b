"""The science of calibrated routing confidence. Pure: arrays in, arrays out; no Prefect, no Parquet, no API.

The names that most people need are here, and are imported when they are asked for: `import calib` alone loads no torch.

>>> from calib import ConfidenceEstimator
>>> ConfidenceEstimator(pca=64)
ConfidenceEstimator(pca=64)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calib.calibrated_router import CalibratedRouter
    from calib.estimator import ConfidenceEstimator
    from calib.head import ConfidenceHead, Ensemble

__all__ = ["CalibratedRouter", "ConfidenceEstimator", "ConfidenceHead", "Ensemble"]

_HOMES = {
    "CalibratedRouter": "calib.calibrated_router",
    "ConfidenceEstimator": "calib.estimator",
    "ConfidenceHead": "calib.head",
    "Ensemble": "calib.head",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'calib' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
