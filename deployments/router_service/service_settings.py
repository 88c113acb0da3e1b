"""What a router service is configured with: a YAML file, `--option`s over it, secrets from the environment alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from routecal.calib.errors import CalibError
from routecal.deployments.router_service.conversation import Reads

LOOPBACK = ("127.0.0.1", "::1", "localhost")
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Strict(BaseModel):
    """Names that nobody knows are errors: a misspelt threshold would be a default one."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Timeouts(_Strict):
    """How long an upstream may take, in seconds, at each step."""

    connect: Seconds = Field(default=10.0, description="until a connection stands")
    first_byte: Seconds = Field(default=300.0, description="from the request to the first byte of the answer's head")
    idle: Seconds = Field(default=300.0, description="between two pieces of an answer")
    total: Seconds = Field(default=1800.0, description="of a whole answer")


class Upstream(_Strict):
    """A server that speaks OpenAI's protocol, and the model that is asked for there."""

    base_url: str = Field(description="up to and with /v1, as the openai package takes it")
    model: str = Field(min_length=1, description="name that goes upstream, and that GET /v1/models lists")
    api_key_env: str | None = Field(default=None, description="environment variable that holds its key. Default: none")
    usd_per_million_input: float | None = Field(default=None, ge=0, description="price of a million prompt tokens")
    usd_per_million_output: float | None = Field(default=None, ge=0, description="price of a million answer tokens")

    @field_validator("base_url")
    @classmethod
    def _http(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("begins with http:// or https:// and names a host")
        if parts.username or parts.password:
            raise ValueError("holds a password; put the key into an environment variable and name it in api_key_env")
        return url.rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def _is_set(cls, name: str | None) -> str | None:
        if name is not None and not os.environ.get(name):
            raise ValueError(f"names {name}, which is not set; export it, or leave it out where no key is needed")
        return name

    @property
    def api_key(self) -> str | None:
        """From the environment, each time it is asked for."""
        return os.environ.get(self.api_key_env) if self.api_key_env else None


class ClientKey(_Strict):
    """Somebody who may ask; the key itself is nowhere."""

    name: str = Field(pattern=r"^[\w.-]{1,64}$", description="stands in the log, and as the source of feedback")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of the key: `printf %s KEY | sha256sum`")


class Canary(_Strict):
    """A head that is tried on a share of queries."""

    head: str = Field(description="folder of a packed head, of the same router")
    share: Share = Field(description="of queries")


class SecondAnswers(_Strict):
    """Queries that the model which did not serve answers too, unseen, so that both answers can be graded."""

    medium: Share = Field(default=0.0, description="share of queries that the large model served")
    large: Share = Field(default=0.0, description="share of queries that the medium model served")
    usd_per_day: float | None = Field(default=None, gt=0, description="after which none is asked that day (UTC)")
    at_once: int = Field(default=4, ge=1, description="above this, further ones are not asked")


class ServiceSettings(_Strict):
    """All of it."""

    medium: Upstream
    large: Upstream
    head: str = Field(
        default="champion", description="champion: the registry's; else a folder, or owner/name of the Hub"
    )
    threshold: float | None = Field(default=None, description="Default: the head's own; another voids its guarantee")
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=4280, ge=0, le=65_535)
    keys: tuple[ClientKey, ...] = Field(default=(), description="who may ask. Default: anybody on this machine")
    log: Path = Field(default=Path("served"), description="folder of the decision log")
    logged: Literal["text", "hash"] = Field(
        default="text", description="text: queries are kept, so that a night can label them; hash: a digest alone"
    )
    retention_days: float = Field(default=90.0, gt=0)
    reads: Reads = Field(default="last_user", description="which text of a conversation is routed")
    unlike: Literal["large", "flag", "off"] = Field(
        default="large", description="what becomes of queries unlike those that the head was calibrated on"
    )
    mode: Literal["active", "shadow"] = Field(
        default="active", description="shadow: decide and log; the large model answers all"
    )
    explore: Share = Field(default=0.0, description="share of queries whose model is drawn, so that logs teach")
    canary: Canary | None = None
    second_answers: SecondAnswers = SecondAnswers()
    max_body_mib: float = Field(default=16.0, gt=0, le=1024)
    max_waiting: int = Field(default=1024, ge=1)
    timeouts: Timeouts = Timeouts()
    keep_alive_s: Seconds | None = Field(
        default=None, description="seconds of silence after which a stream gets a comment. Default: never"
    )

    @model_validator(mode="after")
    def _guarded(self) -> ServiceSettings:
        if self.host not in LOOPBACK and not self.keys:
            raise ValueError(
                f"host is {self.host}, where others can reach it, and keys names nobody who may ask; add keys, or "
                "listen on 127.0.0.1"
            )
        return self

    @model_validator(mode="after")
    def _priced(self) -> ServiceSettings:
        prices = ((one.usd_per_million_input, one.usd_per_million_output) for one in (self.medium, self.large))
        if self.second_answers.usd_per_day is not None and any(None in pair for pair in prices):
            raise ValueError(
                "second_answers has a budget, and a price of medium or large is missing: give both models "
                "usd_per_million_input and usd_per_million_output"
            )
        return self


class SettingsRefused(CalibError, ValueError):
    """The configuration cannot be used."""

    place: str
    reason: str
    sentence = "{place}: {reason}"


def read_settings(path: Path | None, options: dict[str, Any]) -> ServiceSettings:
    """The settings of a file, with options over them.

    Args:
        path: YAML; None for options alone.
        options: dotted names, as "medium.base_url"; None where one was not given.

    Raises:
        SettingsRefused: the file cannot be read, or a value is of another kind; names it.
    """
    import yaml

    said: Any = {}
    if path is not None:
        try:
            said = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise SettingsRefused(str(path), " ".join(str(error).split())) from error
        if not isinstance(said, dict):
            raise SettingsRefused(str(path), "holds no names and values")
    for name, value in options.items():
        if value is not None:
            *outer, last = name.split(".")
            inner = said
            for step in outer:
                inner = inner.setdefault(step, {})
                if not isinstance(inner, dict):
                    raise SettingsRefused(str(path), f"{step} holds no names and values")
            inner[last] = value
    try:
        return ServiceSettings.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        message = "is no setting; `routecal serve-router --help` lists them" if "Extra inputs" in message else message
        raise SettingsRefused(str(path or "options"), f"{where} {message}".strip()) from error
