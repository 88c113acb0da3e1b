"""What the router itself says of a query, as the columns that learned baselines see beside its hidden state."""

import numpy as np

from routecal.calib.checks import FloatArray
from routecal.calib.examples import Examples
from routecal.calib.head import residual_start
from routecal.calib.head.head_inputs import as_tensor


def router_columns(examples: Examples) -> FloatArray:
    """(n, 8): what a residual head starts from, see `calib.head.residual_start`."""
    return np.asarray(residual_start.router_columns(as_tensor(examples.logits)).numpy())
