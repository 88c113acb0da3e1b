"""What is said where a package of an extra is not there."""

import re
import tomllib
from importlib import metadata

import pytest

from routecal.flows.cli import main
from routecal.tasks import extras
from routecal.tasks.errors import ExtraMissing
from tests.test_layering import ROOT

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
PARTS = sorted(EXTRAS.keys() - {"all", "dev", "docs"})
(INSTALLED,) = (re.findall(r"\w+", line.partition("[")[2]) for line in EXTRAS["all"])


def without(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if pip had not installed it."""

    def distribution(name: str) -> metadata.Distribution:
        if name == package:
            raise metadata.PackageNotFoundError(name)
        return metadata.distribution(name)

    monkeypatch.setattr(extras, "distribution", distribution)


@pytest.mark.parametrize("extra", INSTALLED)
def test_what_is_installed_is_not_asked_for(extra: str) -> None:
    extras.require(extra)


@pytest.mark.parametrize(
    ("extra", "package"),
    [
        (extra, re.split(r"[\[<>=]", line)[0])
        for extra in PARTS
        for line in EXTRAS[extra]
        if not line.startswith("routecal")
    ],
)
def test_a_missing_package_is_named_with_what_to_install(
    extra: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(package, monkeypatch)
    with pytest.raises(ExtraMissing) as refused:
        extras.require(extra)
    assert str(refused.value) == f"the package {package} is not installed; run: pip install 'routecal[{extra}]'"


def test_an_extra_needs_what_the_extra_under_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    without("prefect", monkeypatch)
    with pytest.raises(ExtraMissing, match=r"prefect is not installed; run: pip install 'routecal\[pipeline\]'"):
        extras.require("gemini")


def test_a_command_without_its_packages_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without("duckdb", monkeypatch)
    assert main(["heads"]) == 2
    said = capsys.readouterr()
    assert said.err == "routecal: the package duckdb is not installed; run: pip install 'routecal[pipeline]'\n"
    assert said.out == ""


@pytest.mark.parametrize(
    ("oracle", "package"), [("gemini", "google-genai"), ("openai", "openai"), ("openai", "httpx2")]
)
def test_an_oracle_without_its_packages_is_refused_before_anything_runs(
    oracle: str, package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without(package, monkeypatch)
    monkeypatch.setattr("routecal.flows.prefect_settings.load_prefect", lambda: pytest.fail("nothing may start"))
    options = ["--oracle", oracle, "--medium-model", "a", "--large-model", "b", "--base-url", "http://127.0.0.1:1/v1"]
    assert main(["label", "--queries", "absent.jsonl", *options]) == 2
    assert capsys.readouterr().err == (
        f"routecal: the package {package} is not installed; run: pip install 'routecal[{oracle}]'\n"
    )
