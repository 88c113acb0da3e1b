"""What a guarantee is made from: the labelled rows that chose its threshold, and nothing where none was asked for."""

from typing import Any

import numpy as np
import pytest

from routecal.calib.escalation import Outcomes
from routecal.calib.need import ALL_KEPT
from routecal.calib.settings import EscalationTerms
from routecal.tasks.guarantees import Basis, basis_of, guarantee_of

NEED = np.array([0.1, 0.2, 0.3, np.inf])
POLICY = np.array([0, 2, 1, 1])
OUTCOMES = Outcomes.of(["CORRECT", "INCORRECT"] * 2, ["CORRECT"] * 4, medium_cost=1, large_cost=20)
ASKED = EscalationTerms(risk="harm", at_most=0.2, probability=0.9)


def basis(**changes: Any) -> Basis | None:
    rows = {"need": NEED, "true_policy": POLICY, "outcomes": OUTCOMES, "terms": ASKED, "threshold": 0.25} | changes
    return basis_of(**rows)


def test_it_says_what_was_asked_of_how_many_and_what_is_kept() -> None:
    found = basis()
    assert found is not None
    assert (found.promise.risk, found.promise.at_most, found.promise.probability) == ("harm", 0.2, 0.9)
    assert (found.n, found.threshold, found.kept) == (4, 0.25, 0.5)
    assert basis(threshold=ALL_KEPT).kept == 0.75  # a need of +inf is never kept
    assert Basis.model_validate_json(basis(threshold=-np.inf).model_dump_json()) == basis(threshold=-np.inf)


@pytest.mark.parametrize("words", [{"budget": 3.0}, {"call_rate": 0.5}, {"answer_value": 2.0}])
def test_other_words_than_a_promise_promise_nothing(words: dict[str, float]) -> None:
    assert basis(terms=EscalationTerms(**words)) is None


def test_other_needs_or_labels_are_another_ground() -> None:
    worse = Outcomes.of(["INCORRECT"] * 4, ["CORRECT"] * 4, medium_cost=1, large_cost=20)
    grounds = [basis(), basis(need=NEED + 0.1), basis(true_policy=POLICY[::-1]), basis(outcomes=worse)]
    assert len({(one.needs_sha256, one.labels_sha256) for one in grounds if one is not None}) == 4
    assert grounds[1].labels_sha256 == grounds[0].labels_sha256
    dearer = Outcomes.of(["CORRECT", "INCORRECT"] * 2, ["CORRECT"] * 4, medium_cost=1, large_cost=30)
    assert basis(outcomes=dearer) == basis()  # prices are bound where they are packed


def test_the_guarantee_is_bound_to_both_halves() -> None:
    bound = dict.fromkeys(("head", "router", "template", "prices", "policy_map"), "c" * 64)
    found = guarantee_of(basis(), bound)
    assert str(found).endswith("with 90 % over the draw of 4 labels")
    assert (found.threshold, found.kept, found.bound.needs) == (0.25, 0.5, basis().needs_sha256)
    assert found.bound.labels == basis().labels_sha256
    assert found.void_because(found.bound) is None
