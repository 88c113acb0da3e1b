"""What the parameters say about an OpenAI-compatible endpoint, before anything is sent."""

import pytest

from routecal.flows.label import oracle_of
from routecal.flows.oracle_params import OracleParams, RejudgeParams
from routecal.flows.param_checks import check
from routecal.tasks.errors import OptionMissing
from routecal.tasks.oracle import ORACLES

ENDPOINT = {"oracle": "openai", "base_url": "http://127.0.0.1:8000/v1"}
MODELS = {"medium_model": "small", "large_model": "big"}


def test_user_and_password_are_part_of_no_name() -> None:
    given = ENDPOINT | MODELS | {"base_url": "http://user:s3cret@127.0.0.1:8000/v1/"}
    oracle = oracle_of(OracleParams(**given), "queries.jsonl")
    plain = oracle_of(OracleParams(**ENDPOINT, **MODELS), "queries.jsonl")
    assert oracle == plain
    assert plain.provider == "openai:http://127.0.0.1:8000/v1"
    assert "s3cret" not in f"{oracle!r} {oracle.facts}"


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ({"base_url": None}, "--base-url"),
        ({"base_url": "127.0.0.1:8000"}, "--base-url"),
        ({"backend": "batch"}, "leave out --backend batch"),
        ({"judge": "decision"}, "leave out --judge decision"),
    ],
)
def test_what_such_an_endpoint_does_not_have_is_refused_at_once(given: dict[str, str], remedy: str) -> None:
    with pytest.raises(OptionMissing, match=remedy):
        check(OracleParams(**ENDPOINT | MODELS | given))
    with pytest.raises(OptionMissing, match=remedy):
        check(RejudgeParams(**ENDPOINT | {"judge_model": "big"} | given))


def test_thinking_can_be_left_out() -> None:
    none = {"medium_thinking": "none", "large_thinking": "none", "judge_thinking": "none"}
    oracle = oracle_of(OracleParams(**ENDPOINT | MODELS | none), "queries.jsonl")
    assert {spec.thinking_level for spec in (oracle.medium, oracle.large, oracle.judge.first)} == {None}


@pytest.mark.parametrize("name", ORACLES)
def test_a_declaration_names_options_of_the_form_and_labels_in_one_way(name: str) -> None:
    oracle = ORACLES[name]
    own = oracle.options.model_fields if oracle.options else {}
    assert OracleParams.model_fields.keys() >= {*oracle.reads, *own}
    assert (oracle.label is None) != (oracle.api is None)
    assert f"{name} {oracle.does}" in OracleParams.model_fields["oracle"].description
