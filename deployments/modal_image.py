"""The image of routecal on Modal: the packages as they are installed here, at their versions, and this code."""

import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, distributions
from importlib.util import find_spec
from pathlib import Path

import modal
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from routecal.storage.remote import PLUGINS
from routecal.tasks.version import COMMIT

ROOT = "/root"
PACKAGES = ("routecal", *(f"routecal.{room}" for room in ("calib", "storage", "tasks", "flows", "deployments")))
UNUSED = ["**/__pycache__", "**/*.pyc"]


def image(home: str, commit: str | None) -> modal.Image:
    """Debian, Python and torch at the versions of this environment; the code is added when a container starts.

    Args:
        home: URL of the artifacts; says which plug-in of fsspec is needed.
        commit: of the checkout, so that lineage names it there as here.
    """
    plugin = PLUGINS.get(home.partition("://")[0], ())
    pins = requirements("routecal[pipeline]", *plugin[:1])
    built = modal.Image.debian_slim(f"{sys.version_info.major}.{sys.version_info.minor}").uv_pip_install(*pins)
    built = built.env({COMMIT: commit} if commit else {})
    for source, target in sources():
        # Of the package itself only its own files: the rooms beside it follow, wherever they lie.
        rooms = ["*/**"] if target == f"{ROOT}/routecal" else []
        built = built.add_local_dir(source, target, ignore=[*UNUSED, *rooms])
    return built


def requirements(*wanted: str) -> list[str]:
    """`name==version` of everything that these need and that is installed here, sorted.

    A package for CPUs alone is asked for without saying so (2.13.0, not 2.13.0+cpu): on Modal it is to find its GPU.
    """
    found: dict[str, str] = {}
    todo = [Requirement(one) for one in wanted]
    seen = set()
    while todo:
        one = todo.pop()
        key = (canonicalize_name(one.name), frozenset(one.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            installed = distribution(one.name)
        except PackageNotFoundError:  # of another platform, or an extra that nobody uses here
            continue
        if key[0] != "routecal":
            found[key[0]] = installed.version.partition("+")[0]
        for line in installed.requires or ():
            needed = Requirement(line)
            if _is_for(needed, one.extras):
                todo.append(needed)
    return sorted(f"{name}=={version}" for name, version in found.items())


def _is_for(needed: Requirement, extras: set[str]) -> bool:
    return needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras))


def sources() -> Iterator[tuple[Path, str]]:
    """Every folder of ours with the place that it has in a container; and what says which version it is."""
    for name in PACKAGES:
        spec = find_spec(name)
        assert spec is not None
        assert spec.submodule_search_locations
        yield Path(spec.submodule_search_locations[0]), f"{ROOT}/{name.replace('.', '/')}"
    # In a checkout that is installed there is also what setuptools left beside it, which has no METADATA.
    folders = [
        Path(str(own.locate_file(file))).parent
        for own in distributions(name="routecal")
        for file in own.files or ()
        if file.name == "METADATA"
    ]
    yield folders[0], f"{ROOT}/{folders[0].name}"
