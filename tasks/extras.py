"""Extras: the packages beyond the core that a part of the product needs, as pyproject.toml lists them."""

import re
from importlib.metadata import PackageNotFoundError, distribution, requires

from routecal.tasks.errors import ExtraMissing

_LINE = re.compile(r"""(?P<name>[\w.-]+)(\[(?P<extra>\w+)\])?.*extra == ['"](?P<of>\w+)['"]""")


def require(extra: str) -> None:
    """Refuse to go on where a package of an extra is not installed.

    Raises:
        ExtraMissing: says which package, and what to install.
    """
    for line in filter(None, map(_LINE.match, requires("routecal") or ())):
        if line["of"] == extra and line["extra"] and line["name"] == "routecal":
            require(line["extra"])
        elif line["of"] == extra:
            try:
                distribution(line["name"])
            except PackageNotFoundError:
                raise ExtraMissing(line["name"], extra) from None
