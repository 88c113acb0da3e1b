"""Print the lowest versions that pyproject.toml allows, as constraints for pip: `make floors` installs these."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from tests.test_layering import ROOT


def floors(project: Mapping[str, Any]) -> Iterator[str]:
    """One line per dependency, of any extra, that has a lowest version."""
    for lines in (project["dependencies"], *project["optional-dependencies"].values()):
        for line in lines:
            if bound := re.match(r"([\w.-]+)(?:\[\w+\])?[>=]=([\w.]+)", line):
                yield f"{bound[1]}=={bound[2]}"


def lowest_versions() -> list[str]:
    """The same of our own pyproject.toml, sorted."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return sorted(set(floors(pyproject["project"])))


if __name__ == "__main__":
    print("\n".join(lowest_versions()))
