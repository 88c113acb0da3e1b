"""Files of prices, TOML with one `[[price]]` per model and period. The package's is dated; users may add theirs."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from routecal.storage.input_errors import InputMissing
from routecal.tasks.errors import TaskError

# Exact sums need an end to the digits: prices below a million dollars, to a billionth of one.
_DECIMALS, _CEILING = 9, Decimal(1_000_000)
# Nine decimals of a price, nine of a factor, and six because prices are per million.
UNIT = 10**24

_NUMBERS = ("input_usd", "output_usd", "cached_usd", "flex_factor", "batch_factor")
_DATES = ("valid_from", "valid_until")
_REQUIRED = ("model", "input_usd", "output_usd")
_KNOWN = {*_REQUIRED, *_NUMBERS, *_DATES, "context_up_to", "source"}


class PricesInvalid(TaskError, ValueError):
    """A file of prices cannot be used.

    Args:
        file: its name.
        where: which entry, from 1, and its model; empty when the file as a whole is meant.
        problem: the end of a sentence that begins with the place.
    """

    file: str
    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.where + ' of ' if self.where else ''}{self.file}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Price:
    """What one model's tokens cost for some time, in USD per 1,000,000 tokens.

    Attributes:
        model: as the provider spells it.
        input_usd: input tokens.
        output_usd: output tokens, thinking included.
        cached_usd: input tokens from the provider's cache; the same as `input_usd` where no such price is known.
        flex_factor: multiplies all of them in the flex tier; 1 is no discount.
        batch_factor: the same for batch.
        valid_from: first day, UTC; None for always.
        valid_until: last day, UTC, included; None for ever.
        context_up_to: longest prompt in tokens that the price holds for; None for any.
        source: where the numbers stand.
    """

    model: str
    input_usd: Decimal
    output_usd: Decimal
    cached_usd: Decimal
    flex_factor: Decimal = Decimal(1)
    batch_factor: Decimal = Decimal(1)
    valid_from: date | None = None
    valid_until: date | None = None
    context_up_to: int | None = None
    source: str = ""

    def holds(self, day: date, prompt_tokens: int) -> bool:
        """Whether this is the price of a prompt of that many tokens on that day."""
        return (
            (self.valid_from is None or self.valid_from <= day)
            and (self.valid_until is None or day <= self.valid_until)
            and (self.context_up_to is None or prompt_tokens <= self.context_up_to)
        )

    def clashes(self, other: "Price") -> bool:
        """Whether both would hold for one prompt on one day, and neither is the one for shorter prompts."""
        return (
            self.model == other.model
            and self.context_up_to == other.context_up_to
            and (self.valid_from or date.min) <= (other.valid_until or date.max)
            and (other.valid_from or date.min) <= (self.valid_until or date.max)
        )


class Rate(NamedTuple):
    """One token's price in a tier, in units of 1e-24 USD."""

    input: int
    cached: int
    output: int

    @classmethod
    def of(cls, price: Price, tier: str) -> "Rate":
        """The rate of a price in `online`, `flex` or `batch`; ValueError for any other tier."""
        factors: dict[str, Decimal | int] = {"online": 1, "flex": price.flex_factor, "batch": price.batch_factor}
        if (factor := factors.get(tier)) is None:
            raise ValueError(f"{tier!r} is not a tier; choose one of {', '.join(factors)}")
        # Nine decimals each: both products are whole.
        of_factor = int(factor * 10**9)
        return cls(*(int(p * 10**9) * of_factor for p in (price.input_usd, price.cached_usd, price.output_usd)))

    def usd(self, *, input_tokens: float = 0, output_tokens: float = 0) -> float:
        """An estimate for uncached input; tokens may be fractions."""
        return (input_tokens * self.input + output_tokens * self.output) / UNIT


def newest_pricelist() -> tuple[str, tuple[Price, ...]]:
    """The package's newest dated list: its name, and its prices.

    Raises:
        PricesInvalid: it breaks the rules of `parse_pricelist`.
    """
    folder = files("routecal.tasks.oracle.money") / "prices"
    name = max(f.name for f in folder.iterdir() if f.name.endswith(".toml"))
    shown = f"tasks/oracle/money/prices/{name}"
    return shown, parse_pricelist((folder / name).read_bytes(), shown, source_required=True)


def read_pricelist(path: str | Path) -> tuple[Price, ...]:
    """A user's list.

    Raises:
        InputMissing: there is no such file.
        PricesInvalid: it cannot be read, or breaks the rules of `parse_pricelist`.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise InputMissing(str(path)) from error
    except OSError as error:
        raise PricesInvalid(str(path), "", f"cannot be read ({error.strerror or error})") from error
    return parse_pricelist(content, str(path), source_required=False)


def parse_pricelist(content: bytes, file: str, *, source_required: bool) -> tuple[Price, ...]:
    """Prices of one TOML file, in its order. What the keys mean is said at the top of the package's own list.

    Args:
        content: the file.
        file: its name, for messages.
        source_required: refuse an entry without a source.

    Raises:
        PricesInvalid: no TOML, no entry, an unknown, missing or impossible value, or two entries that hold at once.
    """
    try:
        tables = tomllib.loads(content.decode("utf-8"), parse_float=Decimal)
    except UnicodeDecodeError as error:
        raise PricesInvalid(file, "", f"is not UTF-8 (byte {error.start})") from error
    except tomllib.TOMLDecodeError as error:
        raise PricesInvalid(file, "", f"is not TOML: {error}") from error
    entries = tables.pop("price", None)
    if tables:
        raise PricesInvalid(file, "", f"holds {next(iter(tables))!r}; only [[price]] entries are allowed")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise PricesInvalid(file, "", "holds no [[price]] entry; begin each with a line [[price]]")
    prices: list[Price] = []
    for at, entry in enumerate(entries, start=1):
        where = f"price {at} ({entry.get('model', 'no model')})"
        try:
            price = _price(entry, source_required=source_required)
        except ValueError as error:
            raise PricesInvalid(file, where, str(error)) from error
        for before, other in enumerate(prices, start=1):
            if price.clashes(other):
                raise PricesInvalid(
                    file, where, f"holds on the same days as price {before}; end one before the other begins"
                )
        prices.append(price)
    return tuple(prices)


def _price(entry: Mapping[str, object], *, source_required: bool) -> Price:
    """One entry, checked."""
    if unknown := sorted(entry.keys() - _KNOWN):
        raise ValueError(f"{unknown[0]!r} is unknown; allowed are {', '.join(sorted(_KNOWN))}")
    required = (*_REQUIRED, "source") if source_required else _REQUIRED
    if missing := [key for key in required if key not in entry]:
        raise ValueError(f"{missing[0]} is missing")
    texts = {key: _text(key, entry[key]) for key in ("model", "source") if key in entry}
    numbers = {key: _number(key, entry[key]) for key in _NUMBERS if key in entry}
    days = {key: _day(key, entry[key]) for key in _DATES if key in entry}
    if len(days) == 2 and days["valid_until"] < days["valid_from"]:
        raise ValueError(f"valid_until {days['valid_until']} is before valid_from {days['valid_from']}")
    longest = entry.get("context_up_to")
    if longest is not None and (not isinstance(longest, int) or isinstance(longest, bool) or longest < 1):
        raise ValueError(f"context_up_to = {longest} is not a number of tokens above 0")
    fields: dict[str, Any] = {"cached_usd": numbers["input_usd"], **texts, **numbers, **days}
    return Price(**fields, context_up_to=longest)


def _text(key: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key} = {value!r} is not a text")
    return value


def _number(key: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(f"{key} = {value!r} is not a number")
    number = Decimal(value)
    if not number.is_finite() or not 0 <= number <= _CEILING:
        raise ValueError(f"{key} = {value} is not between 0 and {_CEILING}")
    if number != round(number, _DECIMALS):
        raise ValueError(f"{key} = {value} has more than {_DECIMALS} decimals")
    if key.endswith("_factor") and number > 10:
        raise ValueError(f"{key} = {value} is not a factor between 0 and 10 (half price is 0.5)")
    return number


def _day(key: str, value: object) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError(f"{key} = {value!r} is not a day; write it bare, as in {key} = 2026-12-31")
    return value
