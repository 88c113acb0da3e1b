"""Training: SFT, then RL, then recalibration; each stage reads a head, improves it and stores a new one."""

import subprocess
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, Literal

from prefect import task
from pydantic import BaseModel, ConfigDict, Field

from calib import rl, sft
from calib.errors import CheckpointMissing, FeatureMismatch
from calib.head import ConfidenceHead, HeadConfig, LoadedHead, load
from calib.recalibrate import RECALIBRATORS, Recalibrator, choose
from calib.rl import RLConfig
from calib.sft import SFTConfig
from calib.training import StepLog, threads_for
from storage.artifact import Artifact, read_metadata
from storage.folder import local_folder, write_folder
from storage.layout import Home
from storage.refer import folder_at
from tasks.cache import STORED, cache_on
from tasks.examples import load_examples
from tasks.progress import track

# What a head is worth nothing without: features made otherwise mean other numbers.
_MUST_MATCH = ("router_sha256", "width", "layer", "pooling", "dtype", "template_sha256")
_HEAD_MODULES = (
    *("calib.head", "calib.training", "calib.monitors", "calib.losses", "calib.examples"),
    *("calib.recalibrate", "calib.checks"),
)
_RL_MODULES = ("calib.rl", "calib.rl_config", "calib.confidence_policy", "calib.rewards", "calib.beta_reward")


class HeadShape(BaseModel):
    """Shape of the head, but for its width, which is the router's."""

    model_config = ConfigDict(frozen=True)

    hidden_units: int = Field(default=256, ge=1, le=65536, description="units of the MLP's hidden layer")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="fraction of hidden units dropped in training")
    residual: bool = Field(default=True, description="start from what the router puts out, calibrated")
    start: Literal["outputs", "logit"] = Field(default="outputs", description="all of that, or its logit alone")


@task(name="SFT", cache_policy=cache_on("calib.sft", *_HEAD_MODULES), **STORED)
def train_sft(examples: Artifact, features: Artifact, shape: HeadShape, cfg: SFTConfig) -> Artifact:
    """A head warm-started on the train split: mean squared error on 0/1."""
    data = load_examples(examples, features)
    head = ConfidenceHead(HeadConfig(width=data.hidden.shape[1], **shape.model_dump()), seed=cfg.seed)
    steps = sft.steps(head, data.only("train"), data.only("validation"), cfg)
    with threads_for(head):
        log = list(track(steps, "SFT steps"))
    lineage = _lineage(examples, features, stage="sft", training=cfg.model_dump())
    return _store(head, RECALIBRATORS["identity"]([0.0, 1.0], [0, 1]), lineage, log)


@task(name="RL", cache_policy=cache_on(*_RL_MODULES, *_HEAD_MODULES), **STORED)
def train_rl(examples: Artifact, features: Artifact, start: Artifact, cfg: RLConfig) -> Artifact:
    """`start` calibrated on the calibration split by policy gradient on a reward."""
    data, loaded = load_examples(examples, features), open_head(start, features)
    steps = rl.steps(loaded.head, data.only("calibration"), data.only("validation"), cfg)
    with threads_for(loaded.head):
        log = list(track(steps, "RL steps"))
    lineage = _lineage(examples, features, stage="rl", training=cfg.model_dump(), start=start.sha256)
    return _store(loaded.head, loaded.recalibrator, lineage, log)


@task(name="recalibrate", cache_policy=cache_on("calib.metrics.proper", *_HEAD_MODULES), **STORED)
def recalibrate_head(examples: Artifact, features: Artifact, head: Artifact) -> Artifact:
    """`head` with the recalibrator that cross-validation chooses, identity included.

    Fitted on the calibration and validation splits together: RL has seen the first, early stopping has looked at the
    second, and on both the choice was better than on either (LOG.md, 2026-11-22).
    """
    data, loaded = load_examples(examples, features).only("calibration", "validation"), open_head(head, features)
    choice = choose(loaded.head.confidence(data.hidden, data.logits), data.y)
    table = [asdict(candidate) for candidate in choice.table]
    lineage = {**loaded.config["lineage"], "recalibration": table, "recalibrated_from": head.sha256}
    return _store(loaded.head, choice.recalibrator, lineage, read_log(head))


def open_head(head: Artifact, features: Artifact) -> LoadedHead:
    """A stored head, provided these features are of the kind it was trained on.

    Raises:
        FeatureMismatch: another router, layer, dtype or prompt; names both sides.
    """
    loaded, found = load(local_folder(head)), read_metadata(features)
    trained_on = loaded.config["lineage"]["feature_schema"]
    for field in _MUST_MATCH:
        if trained_on.get(field) != found.get(field):
            raise FeatureMismatch(field, trained_on.get(field), found.get(field))
    return loaded


def refer_head(path: str) -> Artifact:
    """A head folder, as `--init-checkpoint` names it.

    Raises:
        CheckpointMissing: it is not there or not a head.
    """
    if not (Path(path).expanduser() / "head.safetensors").is_file():
        raise CheckpointMissing(path, "confidence head (head.safetensors)")
    return folder_at(path, "heads")


def read_log(head: Artifact) -> list[StepLog]:
    """Every training step of a head's own last stage, in order."""
    lines = (local_folder(head) / "training.jsonl").read_text(encoding="utf-8").splitlines()
    return [StepLog.model_validate_json(line) for line in lines]


def _store(head: ConfidenceHead, recalibrator: Recalibrator, lineage: dict[str, Any], log: list[StepLog]) -> Artifact:
    def build(folder: Path) -> None:
        head.save(folder, recalibrator=recalibrator, lineage=lineage)
        (folder / "training.jsonl").write_text("".join(step.model_dump_json() + "\n" for step in log), encoding="utf-8")

    return write_folder("heads", build, home=Home.from_env())


def _lineage(examples: Artifact, features: Artifact, **facts: Any) -> dict[str, Any]:
    return {
        "examples_sha256": examples.sha256,
        "features_sha256": features.sha256,
        "feature_schema": read_metadata(features),
        "code": code_version(),
        **facts,
    }


@lru_cache(maxsize=1)
def code_version() -> str:
    """The installed version, and the git commit where this is a checkout."""
    version = installed_version("routecal")
    try:
        command = ["git", "rev-parse", "--short=12", "HEAD"]
        found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return version
    return f"{version}+g{found.stdout.strip()}"
