"""What a benchmark ran on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil
import torch

from routecal.calib.router.checkpoint import native_dtype


def described() -> dict[str, str]:
    """Processor, cores, memory, vector instructions that torch uses, and versions of what the numbers hang on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    processors = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    versions = {name: version(name) for name in ("torch", "transformers", "numpy", "pyarrow", "duckdb", "prefect")}
    return {
        "processor": next(iter(processors), platform.machine()),
        "cores": str(os.cpu_count()),
        "GiB": f"{psutil.virtual_memory().total / 2**30:.0f}",
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "bfloat16": "yes" if native_dtype(torch.bfloat16, torch.device("cpu")) is torch.bfloat16 else "no",
        "Python": platform.python_version(),
        **versions,
    }
