"""The policy map divides three policies between two models, or is refused with a sentence that says what to do."""

import numpy as np
import pytest

from routecal.calib.decision_errors import PolicyMapUnusable
from routecal.calib.need import goes_to_large, need_by_confidence
from routecal.calib.policy import DEFAULT_MAP, POLICIES, PolicyMap
from routecal.calib.settings import EscalationTerms

NAMED = {"Standard_Query": "flash", "Complex_Query": "pro", "Ambiguous_Query": "pro"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"Complex_Query": None}, "names no model for Complex_Query; add Complex_Query=MODEL"),
        ({"Ambiguous_Query": " "}, "names no model for Ambiguous_Query; add Ambiguous_Query=MODEL"),
        ({"Hard_Query": "pro"}, "names Hard_Query, which is no policy; the policies are Standard_Query, Complex_Query"),
        ({"Standard_Query": "pro"}, "has one model for Standard_Query and Complex_Query; give the first the medium"),
        ({"Ambiguous_Query": "nano"}, "names three models, and queries go to two; give Ambiguous_Query the model of"),
    ],
)
def test_what_is_no_map_of_two_models_is_refused(changes: dict[str, str | None], why: str) -> None:
    models = {policy: name for policy, name in (NAMED | changes).items() if name is not None}
    with pytest.raises(PolicyMapUnusable, match=f"^the policy map Standard_Query=.* {why}"):
        PolicyMap(models=models)
    if None not in changes.values():
        with pytest.raises(PolicyMapUnusable, match=why):
            EscalationTerms(policy_map=models)


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ({}, "Standard_Query=medium,Complex_Query=large,Ambiguous_Query=medium"),
        ({"Ambiguous_Query": "large"}, "Standard_Query=medium,Complex_Query=large,Ambiguous_Query=large"),
        # who names two models need not say again that ambiguous queries go to the medium one
        ({"Standard_Query": "a", "Complex_Query": "b"}, "Standard_Query=a,Complex_Query=b,Ambiguous_Query=a"),
        (NAMED, "Standard_Query=flash,Complex_Query=pro,Ambiguous_Query=pro"),
    ],
)
def test_what_is_not_named_is_as_by_default(given: dict[str, str], whole: str) -> None:
    found = EscalationTerms(policy_map=given).whole_map
    assert str(found) == whole
    assert PolicyMap.model_validate_json(found.model_dump_json()) == found
    assert str(PolicyMap(models=dict(reversed(found.models.items())))) == whole
    assert (found == DEFAULT_MAP) == (found.sha256 == DEFAULT_MAP.sha256) == (not given)


def test_ambiguous_queries_stay_with_the_large_model_where_another_takes_its_place() -> None:
    assert str(PolicyMap(models=NAMED).changed({"Complex_Query": "ultra"})).endswith("Ambiguous_Query=ultra")


def test_only_ambiguous_queries_are_served_by_another_model() -> None:
    policy, p = np.array([0, 1, 2, 2, 0]), np.array([0.9, 0.2, 0.4, 1.0, 0.0])
    named = PolicyMap(models=NAMED)
    before, after = need_by_confidence(policy, p), need_by_confidence(policy, p, named)
    assert (before != after).tolist() == (policy == 2).tolist()
    assert np.isposinf(after[policy == 2]).all()
    assert [named.serves(one) for one in POLICIES] == ["medium", "large", "large"]
    assert goes_to_large(policy).tolist() == (policy == 1).tolist()
    assert (named.medium, named.large) == ("flash", "pro")
