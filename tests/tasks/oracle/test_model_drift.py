"""Which names belong to the model that was asked, and which do not."""

import pickle

import pytest

from routecal.tasks.oracle.model_drift import ModelDrift, check_version


@pytest.mark.parametrize(
    ("model", "answered"),
    [
        ("gemini-3.8-flash", "gemini-3.8-flash"),
        ("gemini-3.8-flash", None),
        ("gemini-3.8-flash", " "),
        ("gemini-3.8-flash", "gemini-3.8-flash-001"),
        ("gemini-3.8-flash", "gemini-3.8-flash-09-2026"),
        ("gemini-3.8-flash", "gemini-3.8-flash-2026-09-02"),
        ("gemini-3.8-flash", "gemini-3.8-flash-20260902"),
        ("gemini-3.8-flash", "gemini-3.8-flash-preview"),
        ("gemini-3.8-flash", "gemini-3.8-flash-preview-05-20"),
        ("gemini-3.8-flash", "gemini-3.8-flash-exp-0827"),
        ("gemini-3.1-pro-preview", "gemini-3.1-pro-preview-11-2026"),
        ("gemini-3.8-flash", "models/gemini-3.8-flash-001"),
        ("models/gemini-3.8-flash", "gemini-3.8-flash"),
        ("gemini-3.8-flash", "publishers/google/models/gemini-3.8-flash"),
        ("gemini-3.8-flash", "projects/p/locations/global/publishers/google/models/gemini-3.8-flash"),
        ("gemini-3.8-flash", "gemini-3.8-flash@001"),
        ("gemini-3.8-flash", "publishers/google/models/gemini-3.8-flash@default"),
        ("gemini-3.8-flash@001", "gemini-3.8-flash@001"),
        ("gemini-3.8-flash@001", "gemini-3.8-flash-001"),
        ("gemini-3.8-flash@001", "gemini-3.8-flash"),
        ("gemini-3.8-flash-latest", "gemini-3.8-flash"),
        ("gemini-3.8-flash-latest", "gemini-3.8-flash-002"),
        ("gemini-3.8-flash-latest", "gemini-3.8-flash-latest"),
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("meta-llama/Llama-3-8B-Instruct", "meta-llama/Llama-3-8B-Instruct"),
        ("/srv/models/mine", "/srv/models/mine"),
        ("llama3.2:3b", "llama3.2:3b"),
    ],
)
def test_the_same_model(model: str, answered: str | None) -> None:
    check_version(model, answered, ())


@pytest.mark.parametrize(
    ("model", "answered"),
    [
        ("gemini-2.5-pro", "gemini-3.8-flash"),
        ("gemini-2.5-flash", "gemini-3.5-flash-lite"),
        ("gemini-3.8-flash", "gemini-3.8-flash-lite"),
        ("gemini-3.8-flash", "gemini-3.8-flash-lite-001"),
        ("gemini-3.8-flash", "gemini-3.8-flash-8b"),
        ("gemini-3.8-flash", "gemini-3.8-flash-preview-tts"),
        ("gemini-3.8-flash", "gemini-3.8-flash-exp-image"),
        ("gemini-3.8-flash", "gemini-3.8-flash2"),
        ("gemini-3.8-flash", "gemini-3.8-flash-"),
        ("gemini-3.8-flash", "gemini-3.8-flash-lite@001"),
        ("gemini-3.8-flash-lite", "gemini-3.8-flash"),
        ("gemini-3.8-flash-001", "gemini-3.8-flash-002"),
        ("gemini-3.8-flash@001", "gemini-3.8-flash@002"),
        ("gemini-3.8-flash@001", "gemini-3.8-flash-002"),
        ("gemini-3.1-pro-preview", "gemini-3.1-pro"),
        ("gemini-3.8-flash-latest", "gemini-3.8-flash-lite"),
        ("gemini-3.8-flash-latest", "gemini-3.9-flash"),
        ("gemini-flash-latest", "gemini-3.8-flash"),
        ("gemini-3", "gemini-3.8"),
        ("gpt-4", "gpt-4o"),
        ("publishers/google/models/gemini-2.5-pro", "publishers/google/models/gemini-3.8-flash"),
    ],
)
def test_another_model(model: str, answered: str) -> None:
    with pytest.raises(ModelDrift) as caught:
        check_version(model, answered, ["gemini-9"])
    assert (caught.value.model, caught.value.answered) == (model, answered)
    check_version(model, answered, [answered])


def test_allowing_takes_the_name_with_or_without_its_path() -> None:
    check_version("gemini-2.5-pro", "models/gemini-3.8-flash", ["gemini-3.8-flash"])
    check_version("gemini-2.5-pro", "gemini-3.8-flash", ["publishers/google/models/gemini-3.8-flash"])
    with pytest.raises(ModelDrift):
        # what is allowed is that version, not its whole family
        check_version("gemini-2.5-pro", "gemini-3.8-flash-002", ["gemini-3.8-flash-001"])


def test_the_sentence_says_who_answered_and_how_to_allow_it() -> None:
    error = pickle.loads(pickle.dumps(ModelDrift("gemini-2.5-pro", "gemini-3.8-flash")))
    assert str(error).startswith("gemini-2.5-pro was asked and gemini-3.8-flash answered")
    assert "--allow-versions gemini-3.8-flash" in str(error)
