"""A trained head of a tiny router, and a packed folder that says something else."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from routecal.calib.head import ConfidenceHead, HeadConfig, LoadedHead
from routecal.calib.recalibrate import RECALIBRATORS
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.folder_digest import folder_digest

QUERIES = [f"What is known about {thing}?" for thing in ("tides", "bridges", "owls", "glaciers", "clocks", "bees")]


def trained(router: FrozenRouter, **schema: str) -> LoadedHead:
    """A head with inputs of this router and weights that are not zero, recalibrated by Platt scaling."""
    output = router.read(QUERIES)
    head = ConfidenceHead(HeadConfig(width=router.width, hidden_units=4, residual=False), seed=1)
    head.fit_inputs(output.hidden, output.logits, np.array([0, 1, 0, 1, 1, 0]))
    recalibrator = RECALIBRATORS["platt"](np.linspace(0.1, 0.9, 50), np.arange(50) % 3 > 0)
    lineage = {"feature_schema": {**router.schema, "router_sha256": folder_digest(router.path), **schema}, "kept": 1}
    return LoadedHead(head, recalibrator, {"lineage": lineage, "metrics": {"brier": 0.2}})


def change(folder: Path, **serving: Any) -> None:
    """Rewrite what a packed folder says of its serving."""
    file = folder / "config.json"
    config = json.loads(file.read_text())
    config["lineage"]["serving"] |= serving
    file.write_text(json.dumps(config))
