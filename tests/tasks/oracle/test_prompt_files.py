"""Prompt files: versions, places, and what they must say."""

import subprocess
import sys
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routecal.calib.policy import Grade
from routecal.tasks.oracle.grading.answering import ABSTENTION
from routecal.tasks.oracle.prompt_files import fill, prompt, sections, version

NAMES = sorted(f.name.removesuffix(".txt") for f in (files("routecal.tasks.oracle") / "prompts").iterdir())


@pytest.mark.parametrize(
    "module",
    [
        "routecal.tasks.oracle.prompt_files",
        "routecal.tasks.oracle.grading.cascade",
        "routecal.tasks.oracle.local_oracle",
    ],
)
def test_oracles_are_imported_without_torch(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'torch', 'transformers'}} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_version_is_that_of_all_its_files() -> None:
    versions = {version(name) for name in NAMES} | {version("judge_system", "judge"), version("judge", "judge_system")}
    assert len(versions) == len(NAMES) + 2
    name, _, digest = version("judge_system", "judge").partition("@")
    assert (name, len(digest), int(digest, 16) >= 0) == ("judge_system", 8, True)
    with pytest.raises(FileNotFoundError):
        version("judge_third")


def test_places_are_filled_once_and_nothing_else_changes() -> None:
    assert fill("{a}{b}{c}{{a}} {0} {", {"a": "{b}", "b": r"\1{a}"}) == r"{b}\1{a}{c}{{b}} {0} {"
    assert fill("{a}", {}) == "{a}"


@given(values=st.lists(st.text(max_size=20), min_size=2, max_size=2))
def test_values_are_put_in_as_they_are(values: list[str]) -> None:
    assert fill("<{x}|{y}>", dict(zip("xy", values, strict=True))) == f"<{values[0]}|{values[1]}>"


def test_the_prompt_asks_for_the_sentence_that_counts_as_an_abstention() -> None:
    assert prompt("answer_system").splitlines()[-1] == ABSTENTION


@pytest.mark.parametrize("name", ["judge_system", "judge_second"])
def test_judges_are_told_all_grades_and_keys(name: str) -> None:
    text = prompt(name)
    assert all(word in text for word in (*Grade, '"reason"', '"grade"', '"confidence"'))
    assert "{" not in text


def test_the_decision_prompt_has_a_criterion_for_each_grade() -> None:
    parts = sections("decision")
    assert list(parts) == ["input", "instructions", *Grade]
    assert all(parts.values())
    assert parts["instructions"].count("{name}") == 1
    for place in ("{question}", "{references}", "{answers}"):
        assert parts["input"].count(place) == 1
