"""The libraries that metrics must agree with, as tests and benchmarks call them."""

import importlib.util
import sys
import warnings
from collections.abc import Callable
from types import ModuleType

import numpy as np
import torch
from calibration import lower_bound_scaling_ce
from calibration.utils import get_equal_bins, get_equal_prob_bins
from torchmetrics.functional.classification import binary_calibration_error

# Compiling netcal warns of its docstrings' backslashes, and a warning fails a test; where no bytecode is written, it is
# compiled at each import.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from netcal.metrics import ECE as NetcalEce  # noqa: N811
    from netcal.metrics import MCE as NetcalMce  # noqa: N811


def relplot() -> ModuleType:
    """relplot with its modules of numbers, not its `__init__`, which imports seaborn and pandas for its plots."""
    if "relplot" not in sys.modules:
        spec = importlib.util.find_spec("relplot")
        assert spec is not None
        module = ModuleType("relplot")
        module.__path__ = list(spec.submodule_search_locations or ())
        sys.modules["relplot"] = module
    for part in ("config", "kernels", "metrics"):
        importlib.import_module(f"relplot.{part}")
    return sys.modules["relplot"]


def by_netcal(p: np.ndarray, y: np.ndarray, *, n_bins: int, norm: int | str = 1) -> float:
    """Equal-width calibration error of norm 1 or max."""
    return float({1: NetcalEce, "max": NetcalMce}[norm](n_bins).measure(p, y.astype(np.int64)))


def by_torchmetrics(p: np.ndarray, y: np.ndarray, *, n_bins: int, norm: int | str = 1) -> float:
    """Equal-width calibration error; sums are of the type of p."""
    name = {1: "l1", 2: "l2", "max": "max"}[norm]
    return float(
        binary_calibration_error(torch.from_numpy(p), torch.from_numpy(y.astype(np.int64)), n_bins=n_bins, norm=name)
    )


def by_uncertainty_calibration(
    p: np.ndarray, y: np.ndarray, *, n_bins: int, norm: int = 1, is_debiased: bool = False, is_equal_mass: bool = False
) -> float:
    """Calibration error, plain or debiased, over bins of equal width or mass."""
    scheme: Callable[..., list[float]] = get_equal_bins if is_equal_mass else get_equal_prob_bins
    return float(
        lower_bound_scaling_ce(
            p, y.astype(np.int64), p=norm, debias=is_debiased, num_bins=n_bins, binning_scheme=scheme, mode="marginal"
        )
    )
