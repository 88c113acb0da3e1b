"""Training: SFT, then RL, then recalibration; each stage reads a head, improves it and stores a new one."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from routecal.calib.checkpoint_errors import CheckpointMissing, FeatureMismatch
from routecal.calib.examples import LABELLED
from routecal.calib.head import Ensemble, LoadedHead, load
from routecal.calib.learn import rl, sft
from routecal.calib.learn.cross_fit import CrossFitPlan, Deal, steps, untrained
from routecal.calib.learn.rl import RLConfig
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.learn.training_loop import StepLog
from routecal.calib.recalibrate import Identity, Recalibrator, choose_recalibrator
from routecal.calib.router.pooling import DEFAULT
from routecal.storage.artifact import Artifact, read_metadata
from routecal.storage.folder_artifact import folder_at, local_folder, write_folder
from routecal.storage.layout import Home
from routecal.tasks.cache import step
from routecal.tasks.load_examples import load_examples
from routecal.tasks.progress import track
from routecal.tasks.version import code_version

# What a head is worth nothing without: features made otherwise mean other numbers.
_MUST_MATCH = ("router_sha256", "width", "layer", "pooling", "dtype", "template_sha256", "special_tokens")


@step("SFT", "SFT on {examples.rows} examples", on=("tasks.load_examples", "calib.learn.sft", "calib.learn.cross_fit"))
def train_sft(
    examples: Artifact, features: Artifact, plan: CrossFitPlan, cfg: SFTConfig, blocks: Sequence[str] = (DEFAULT,)
) -> Artifact:
    """Heads warm-started by mean squared error on 0/1, each on its folds, or one on the train split."""
    deal = _deal(examples, features, plan.folds, blocks)
    return _sft(untrained(plan, deal, seed=cfg.seed), deal, cfg, _lineage(examples, features, blocks=list(blocks)))


@step(
    "SFT from the champion",
    "SFT from the serving head on {examples.rows} examples",
    on=("tasks.load_examples", "calib.learn.sft", "calib.learn.cross_fit"),
)
def train_on(examples: Artifact, features: Artifact, start: Artifact, cfg: SFTConfig) -> Artifact:
    """The heads of `start` trained on by SFT, on other rows dealt to the same folds by their text."""
    loaded = open_head(start, features)
    deal = _deal(examples, features, loaded.head.folds, loaded.blocks)
    known = _lineage(examples, features, blocks=list(loaded.blocks), start=start.sha256)
    return _sft(loaded.head, deal, cfg, known)


def _sft(ensemble: Ensemble, deal: Deal, cfg: SFTConfig, lineage: dict[str, Any]) -> Artifact:
    log = list(track(steps(sft.steps, ensemble, deal, cfg, rows=["train"]), "SFT steps"))
    return _store(ensemble, Identity(), {**lineage, "stage": "sft", "training": cfg.model_dump()}, log)


@step("RL", "RL on {examples.rows} examples", on=("tasks.load_examples", "calib.learn.rl", "calib.learn.cross_fit"))
def train_rl(examples: Artifact, features: Artifact, start: Artifact, cfg: RLConfig) -> Artifact:
    """`start` calibrated by policy gradient on a reward: each head on its calibrating fold, or on that split."""
    loaded = open_head(start, features)
    deal = _deal(examples, features, loaded.head.folds, loaded.blocks)
    log = list(track(steps(rl.steps, loaded.head, deal, cfg, rows=["calibration"]), "RL steps"))
    known = {"training": cfg.model_dump(), "start": start.sha256, "blocks": list(loaded.blocks)}
    return _store(loaded.head, loaded.recalibrator, _lineage(examples, features, stage="rl", **known), log)


@step(
    "recalibrate",
    "recalibrate on {examples.rows} examples",
    on=("tasks.load_examples", "calib.recalibrate", "calib.learn.cross_fit"),
)
def recalibrate_head(examples: Artifact, features: Artifact, head: Artifact) -> Artifact:
    """`head` with the recalibrator that cross-validation chooses, identity included.

    Chosen on out-of-fold predictions of the labelled queries. Without folds, on the calibration and
    validation splits together: RL has seen the first, early stopping has looked at the second, and on both the choice
    was better than on either (LOG.md, 2026-11-22).
    """
    loaded = open_head(head, features)
    choice = choose_recalibrator(*_deal(examples, features, loaded.head.folds, loaded.blocks).held_out(loaded.head))
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


def held_out_splits(head: Artifact) -> tuple[str, ...]:
    """Labelled splits that a head was not trained on: all of them if it was cross-fitted."""
    return LABELLED if load(local_folder(head)).head.folds else LABELLED[1:]


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


def _deal(examples: Artifact, features: Artifact, folds: int | None, blocks: Sequence[str]) -> Deal:
    """The labelled rows, dealt to folds by their text."""
    return Deal.of(load_examples(examples, features, blocks=blocks).only(*LABELLED), folds=folds)


def _store(head: Ensemble, recalibrator: Recalibrator, lineage: dict[str, Any], log: list[StepLog]) -> Artifact:
    def build(folder: Path) -> None:
        head.save_pretrained(folder, recalibrator=recalibrator, lineage=lineage)
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
