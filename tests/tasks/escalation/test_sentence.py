"""What is said of a saving is what was shown, no more."""

import pytest

from routecal.calib.metrics import Estimate
from routecal.calib.settings import EscalationTerms
from routecal.storage.artifact import Artifact
from routecal.tasks.escalation_result import CONFIDENCE
from routecal.tasks.escalation_verdict import sentence
from tests.tasks.escalation.measured import WIDE, changed, measured


def test_without_grades_there_is_a_sentence_instead(examples: Artifact, predictions: Artifact) -> None:
    n = examples.rows
    found = measured(predictions, changed(examples, medium_grade=[None] * n))
    assert not found.methods
    assert not found.curves
    assert sentence(found).startswith("No escalation threshold: 200 of 200 answers of the medium model have no grade")


def test_the_sentence_says_what_is_shown(examples: Artifact, predictions: Artifact) -> None:
    found = measured(predictions, examples, WIDE)
    saving = found.methods[CONFIDENCE]
    d = saving.quality_difference

    def said(low: float, high: float, non_inferior: bool) -> str:
        other = d.model_copy(update={"low": low, "high": high})
        claim = saving.model_copy(update={"quality_difference": other, "non_inferior": non_inferior})
        return sentence(found.model_copy(update={"methods": {CONFIDENCE: claim}}))

    assert "no worse than all-large within 20 points: shown" in said(-0.1, 0.02, True)
    assert "worse than all-large by more than 20 points" in said(-0.5, -0.3, False)
    assert f"neither shown nor ruled out on {saving.n} queries" in said(-0.3, 0.02, False)
    line = sentence(found)
    assert f"{saving.saving.value:.1%}"[:-1] in line
    assert f"below {-saving.point.threshold:.3f} (chosen on {found.n_chosen_on} labelled" in line
    # fewer than 268 rows: at confidence .95 nothing but all-large passes
    everything = sentence(measured(predictions, examples, EscalationTerms(medium_price=1, large_price=20)))
    assert everything.startswith(
        f"Nothing is saved: on {found.n_chosen_on} labelled queries no confidence is high enough"
    )
    assert "is saved" not in everything.removeprefix("Nothing is saved")
    assert "shown" not in everything
    (cost, quality), (_, best) = found.policies["router alone"], found.policies["all-large"]
    assert everything.endswith(
        f"The router alone saves {1 - cost / 20:.1%} (in {found.unit}) at {100 * (quality - best):+.1f} points of "
        "quality."
    )
    assert "(in the unit of the prices given)" in line
    assert "A random mix of that quality saves" in line


@pytest.mark.parametrize(
    ("value", "low", "begins", "hedged"),
    [
        (0.0004, -0.01, "Nothing is saved: escalating confidence below", False),
        (0.0005, -0.01, "Escalating confidence below", True),
        (0.02, 0.0, "Escalating confidence below", True),
        (0.02, 0.001, "Escalating confidence below", False),
    ],
)
def test_a_saving_that_is_none_or_may_be_none_is_said_to_be_so(
    examples: Artifact, predictions: Artifact, value: float, low: float, begins: str, hedged: bool
) -> None:
    found = measured(predictions, examples, WIDE)
    saving = found.methods[CONFIDENCE].model_copy(update={"saving": Estimate(value=value, low=low, high=0.05)})
    line = sentence(found.model_copy(update={"methods": {CONFIDENCE: saving}}))
    assert line.startswith(begins)
    assert ("which may be nothing," in line) == hedged
