"""What decides whether a finished step is reused: its inputs, and either a version or the code it stands on."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

from prefect.cache_policies import INPUTS, CachePolicy

from calib.errors import UnknownName

# Options of every task here: results are JSON and always stored, or Retry would run finished tasks again.
STORED = {"persist_result": True, "result_serializer": "json"}


def cache_on(*modules: str) -> CachePolicy:
    """Reuse until an input or the text of one of `modules` changes: for steps that are cheap to redo.

    Slow or paid steps take INPUTS alone with an explicit `version` argument instead: an edited comment must not
    buy them again.

    Args:
        modules: dotted names of modules; a package counts with everything in it.
    """
    version = hashlib.sha256(b"".join(_source(module) for module in modules)).hexdigest()[:16]

    def code_version(_context: object, _inputs: object) -> str:
        return version

    return INPUTS + CachePolicy.from_cache_key_fn(code_version)


def _source(module: str) -> bytes:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise UnknownName("module", module, ())
    files = [Path(spec.origin)]
    if spec.submodule_search_locations:
        files = sorted(file for folder in spec.submodule_search_locations for file in Path(folder).rglob("*.py"))
    return b"".join(file.read_bytes() for file in files)
