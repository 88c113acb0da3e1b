"""Routers of one checkpoint, with a packed head, and an outcome head of the one that is read at two layers."""

from pathlib import Path

import numpy as np
import pytest

from routecal.calib.outcome.cells import Cells
from routecal.calib.outcome.fit import fit_outcome
from routecal.calib.outcome.head import OutcomeHead
from routecal.calib.packed_folder import Serving, pack
from routecal.calib.policy import OracleMatrix
from routecal.calib.router.frozen_router import FrozenRouter
from tests.calib.packed import trained
from tests.tasks.made import texts

ASKED = [text * (1 + i % 3) for i, text in enumerate(texts(40))]  # of different lengths
BLOCKS = ("hidden_L1_mean", "hidden")
READ = {"layers": (1, -1), "poolings": ("mean", "last")}


@pytest.fixture(scope="session")
def wide_router(router_checkpoint: Path) -> FrozenRouter:
    """A router that is read at two layers."""
    return FrozenRouter(router_checkpoint, **READ)


@pytest.fixture(scope="session")
def outcome_head(wide_router: FrozenRouter) -> OutcomeHead:
    """Fitted to cells that depend on the hidden state."""
    output, cells = wide_router.read(ASKED), Cells.of(OracleMatrix())
    by_state = np.argsort(np.argsort(output.blocks["hidden_L1_mean"][:, 0]))
    blocks = {name: output.blocks[name].astype(np.float32) for name in BLOCKS}
    return fit_outcome(blocks, output.logits, by_state * len(cells) // 40, np.arange(40) % 4, cells).head


@pytest.fixture(scope="module")
def router(router_checkpoint: Path) -> FrozenRouter:
    """A router that is read as by default."""
    return FrozenRouter(router_checkpoint)


@pytest.fixture
def folder(router: FrozenRouter, tmp_path: Path) -> Path:
    """A head of it, packed."""
    pack(trained(router), Serving(router=str(router.path), threshold=0.6, head_version="abc"), tmp_path / "packed")
    return tmp_path / "packed"
