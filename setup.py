"""The folders of the repository become the package `routecal`: `calib/` is imported as `routecal.calib`."""

from setuptools import find_packages, setup

ROOMS = ("calib", "storage", "tasks", "flows", "deployments")

setup(
    packages=["routecal", *(f"routecal.{p}" for p in find_packages() if p.partition(".")[0] in ROOMS)],
    package_dir={"routecal": "routecal", **{f"routecal.{room}": room for room in ROOMS}},
)
