"""Settings: what nobody knows, what cannot be and what is missing is an error before anything starts."""

from pathlib import Path
from typing import Any

import pytest

from routecal.deployments.router_service import command
from routecal.deployments.router_service.service_settings import SettingsRefused, read_settings

BOTH: dict[str, Any] = {
    "medium.base_url": "http://127.0.0.1:1/v1/",
    "medium.model": "flash",
    "large.base_url": "https://api.example.com/v1",
    "large.model": "pro",
}


def test_options_go_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "service.yaml"
    file.write_text(
        "medium: {base_url: http://a/v1, model: small}\nlarge: {base_url: http://b/v1, model: pro}\nport: 1\n"
    )
    found = read_settings(file, {"medium.model": "flash", "port": 2, "host": None})
    assert (found.medium.base_url, found.medium.model, found.large.model) == ("http://a/v1", "flash", "pro")
    assert (found.host, found.port) == ("127.0.0.1", 2)
    assert read_settings(None, BOTH).medium.base_url == "http://127.0.0.1:1/v1"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"medium.model": None}, "medium.model Field required"),
        ({"thresholds": 0.5}, "thresholds is no setting"),
        ({"timeouts.idle_s": 3}, "timeouts.idle_s is no setting"),
        ({"timeouts.idle": 0}, "timeouts.idle Input should be greater than 0"),
        ({"medium.base_url": "ftp://a"}, "medium.base_url begins with http:// or https://"),
        ({"large.base_url": "https://me:secret@a/v1"}, "large.base_url holds a password"),
        ({"large.api_key_env": "NOT_SET_ANYWHERE"}, "large.api_key_env names NOT_SET_ANYWHERE, which is not set"),
        ({"host": "0.0.0.0"}, "host is 0.0.0.0, where others can reach it, and keys names nobody"),
        ({"explore": 2}, "explore Input should be less than or equal to 1"),
        ({"second_answers.usd_per_day": 1}, "second_answers has a budget, and a price of medium or large is missing"),
        ({"second_answers.large": 2}, "second_answers.large Input should be less than or equal to 1"),
        ({"port": 70_000}, "port Input should be less than or equal to 65535"),
    ],
)
def test_settings_that_are_refused(more: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsRefused) as refused:
        read_settings(None, BOTH | more)
    assert says in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("text", ["medium: [", "- a list", "\tmedium: 1", "medium: 5"])
def test_files_that_are_none(text: str, tmp_path: Path) -> None:
    file = tmp_path / "service.yaml"
    file.write_text(text)
    with pytest.raises(SettingsRefused):
        read_settings(file, BOTH)
    with pytest.raises(SettingsRefused, match="No such file"):
        read_settings(tmp_path / "nowhere.yaml", BOTH)


def test_a_head_that_is_not_there_is_a_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = ["--medium-url", "http://127.0.0.1:1/v1", "--medium-model", "a"]
    options += ["--large-url", "http://127.0.0.1:1/v1", "--large-model", "b", "--log", str(tmp_path / "served")]
    assert command.main(options) == 2
    err = capsys.readouterr().err
    assert err.startswith("routecal: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "served").exists()
