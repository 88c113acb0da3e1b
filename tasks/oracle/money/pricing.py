"""What a call cost, and what it can cost at most.

Everything is summed in whole numbers, so that no order of adding and no rounding lets a cost pass its bound.
"""

import json
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from routecal.tasks.errors import TaskError
from routecal.tasks.oracle.call import Call, Usage
from routecal.tasks.oracle.model_drift import bare_name
from routecal.tasks.oracle.money.pricelist import UNIT, Price, Rate, newest_pricelist, read_pricelist

# Role marks, separators and the like, which a provider adds to every request and counts as input.
OVERHEAD_TOKENS = 256

# A call sent now may be answered, and charged, until then; a batch job may be late and still be taken.
_ANSWERED_WITHIN = {"online": timedelta(hours=24), "flex": timedelta(hours=24), "batch": timedelta(hours=48)}

# Parts of a call's config that tell how to answer; all others are read by the model.
_UNREAD = {"max_output_tokens", "thinking_level"}


class UnknownPrice(TaskError, LookupError):
    """A model may not be asked, because nobody knows what it would cost.

    Args:
        model: as it was asked for.
        file: where a price can be added.
        day: when it would be asked.
        known: the end of a clause on what is known of its price; empty when nothing is.
    """

    model: str
    file: str
    day: date
    known: str = ""

    def __str__(self) -> str:
        name = json.dumps(self.model, ensure_ascii=False)
        return (
            f"no price of {self.model} is known for {self.day}{f' (known is one {self.known})' if self.known else ''}, "
            f"and a cost that is not known cannot be capped; add to {self.file} what its provider charges in USD per "
            "1,000,000 tokens (0 for a model of your own):\n"
            f"[[price]]\nmodel = {name}\ninput_usd = INPUT\noutput_usd = OUTPUT\nvalid_from = {self.day}"
        )


class NoOutputLimit(TaskError, ValueError):
    """A call that may write without end has no highest cost."""

    model: str
    limit: object
    sentence = (
        "a call to {model} has max_output_tokens = {limit!r}, so its highest cost is not known; give a whole number "
        "above 0"
    )


@dataclass(frozen=True)
class Prices:
    """All prices known to a run.

    A user's price comes before the package's wherever it holds: for its model, days and length of prompt.

    Attributes:
        own: the package's.
        extra: the user's.
        file: where a missing one can be added, for messages.
    """

    own: tuple[Price, ...]
    extra: tuple[Price, ...] = ()
    file: str = "a file given with --prices"
    _by_model: dict[str, tuple[Price, ...]] = field(init=False, repr=False, compare=False)
    _worst: dict[tuple[Any, ...], Rate] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        by_model: dict[str, tuple[Price, ...]] = {}
        # Of the prices that hold, the first is taken: users' before ours, those for shorter prompts before the others.
        for prices in (self.extra, self.own):
            for price in sorted(prices, key=lambda p: p.context_up_to or float("inf")):
                name = bare_name(price.model)
                by_model[name] = (*by_model.get(name, ()), price)
        object.__setattr__(self, "_by_model", by_model)

    @classmethod
    def load(cls, extra: str | Path | None = None) -> "Prices":
        """The package's newest list, with a user's list before it.

        Args:
            extra: TOML in the form of the package's list (see the head of `tasks/oracle/money/prices/`); `source`
                may be left out.

        Raises:
            InputMissing: there is no such file.
            PricesInvalid: it is not a list of prices; says where and why.
        """
        _, own = newest_pricelist()
        return cls(own) if extra is None else cls(own, read_pricelist(extra), str(extra))

    def usd(self, model: str, usage: Usage, *, tier: str, at: datetime) -> float | None:
        """What one response cost, in USD: input, cached input, visible output and thinking.

        Cached or thinking tokens that the provider does not mention are taken for none: it charges for what it counts,
        and cached ones are then charged in full. A missing count of what costs nothing does no harm.

        Args:
            model: as it was asked.
            usage: as the provider counted.
            tier: `online`, `flex` or `batch`.
            at: when it was answered, with a time zone.

        Returns:
            USD; None, never 0, when it is not known: input or output was not counted, counts contradict each other, or
            no price holds.

        Raises:
            ValueError: no such tier, or `at` has no time zone.
        """
        prompt, cached, output, thinking = usage
        if any(n is not None and n < 0 for n in usage) or (cached or 0) > (prompt or 0):
            return None
        rate = self._rate(model, _day(at), prompt or 0, tier)
        if rate is None or (prompt is None and (rate.input or self._steps(model))):
            return None
        if output is None and rate.output:
            return None
        fresh = (prompt or 0) - (cached or 0)
        written = (output or 0) + (thinking or 0)
        return (fresh * rate.input + (cached or 0) * rate.cached + written * rate.output) / UNIT

    def worst_usd(self, call: Call, *, tier: str, at: datetime) -> float:
        """The most that one answer to `call` can cost, in USD.

        Every UTF-8 byte the model reads is taken for a token (a tokenizer makes at most that many), plus
        `OVERHEAD_TOKENS`; the answer is taken for as long as it may be; the price is the dearest of the next 24 hours
        (48 in batch) and of all lengths of prompt up to that. `decide` writes nothing.

        Args:
            call: for `generate`, with `max_output_tokens` in its config.
            tier: `online`, `flex` or `batch`.
            at: when it is sent, with a time zone.

        Raises:
            UnknownPrice: none holds today, or for a prompt that long.
            NoOutputLimit: the answer's length has no limit.
            ValueError: no such tier, or `at` has no time zone.
        """
        # A lone surrogate is sent as a replacement of no more bytes.
        texts = sum(len(text.encode("utf-8", "surrogatepass")) for text in (call.system, call.prompt))
        input_tokens = texts + _bytes_read(call.config_json) + OVERHEAD_TOKENS
        output_tokens = 0
        if call.endpoint == "generate":
            limit = call.config.get("max_output_tokens")
            if type(limit) is not int or limit < 1:
                raise NoOutputLimit(call.model, limit)
            output_tokens = limit
        until = at + _ANSWERED_WITHIN.get(tier, timedelta())
        shorter = bisect_left(self._steps(call.model), input_tokens)
        # Every call is reserved for, thousands of them at one rate.
        known = (call.provider, call.model, tier, _day(at), _day(until), shorter)
        if (rate := self._worst.get(known)) is None:
            self.check([call.model], at=at, provider=call.provider)
            rate = self.dearest(call.model, tier=tier, since=at, until=until, prompt_tokens=input_tokens)
            self._worst[known] = rate
        return (input_tokens * max(rate.input, rate.cached) + output_tokens * rate.output) / UNIT

    def check(self, models: Iterable[str], *, at: datetime, provider: str = "gemini") -> None:
        """Refuse to begin with a model whose price is not known.

        Args:
            models: all that will be asked.
            at: when, with a time zone.
            provider: as in `Call`; for `openai:…` only the user's own prices count, as the same name may be served by
                anybody.

        Raises:
            UnknownPrice: for the first without a price today; says what to add where.
            ValueError: `at` has no time zone.
        """
        for model in models:
            prices = self._by_model.get(bare_name(model), ())
            if provider.startswith("openai:"):
                prices = tuple(p for p in prices if p in self.extra)
            if not any(p.holds(_day(at), 0) for p in prices):
                raise UnknownPrice(model, self.file, _day(at), _known(prices))

    def dearest(self, model: str, *, tier: str, since: datetime, until: datetime, prompt_tokens: int) -> Rate:
        """The highest rates between two moments for prompts of up to `prompt_tokens`, each for itself.

        Days without a price are left out, except the first.

        Raises:
            UnknownPrice: none holds at `since`, or none for prompts that long.
            ValueError: no such tier, or a time without a time zone.
        """
        first = _day(since)
        days = [first, *self.changes(model, since=first, until=_day(until))]
        lengths = [prompt_tokens, *(n for n in self._steps(model) if n < prompt_tokens)]
        if self._rate(model, first, prompt_tokens, tier) is None:
            raise UnknownPrice(model, self.file, first, _known(self._by_model.get(bare_name(model), ())))
        rates = [r for d in days for n in lengths if (r := self._rate(model, d, n, tier)) is not None]
        return Rate(*(max(of_kind) for of_kind in zip(*rates, strict=True)))

    def changes(self, model: str, *, since: date, until: date) -> list[date]:
        """The days after `since`, up to `until`, from which another price of a model may hold."""
        prices = self._by_model.get(bare_name(model), ())
        starts = {p.valid_from for p in prices if p.valid_from}
        ends = {p.valid_until + timedelta(days=1) for p in prices if p.valid_until and p.valid_until < date.max}
        return sorted(day for day in starts | ends if since < day <= until)

    def _steps(self, model: str) -> list[int]:
        """Lengths of prompt, in tokens, above which another price of a model may hold."""
        return sorted({p.context_up_to for p in self._by_model.get(bare_name(model), ()) if p.context_up_to})

    def _rate(self, model: str, day: date, prompt_tokens: int, tier: str) -> Rate | None:
        """The rate that holds, if any does."""
        prices = self._by_model.get(bare_name(model), ())
        price = next((p for p in prices if p.holds(day, prompt_tokens)), None)
        return None if price is None else Rate.of(price, tier)


@lru_cache(maxsize=64)
def _bytes_read(config_json: str) -> int:
    """What a model reads of a call's config, in bytes."""
    return len(json.dumps({key: value for key, value in json.loads(config_json).items() if key not in _UNREAD}))


def _day(at: datetime) -> date:
    """The day prices go by."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone; prices change at midnight UTC")
    return at.astimezone(UTC).date()


def _known(prices: Iterable[Price]) -> str:
    """When the prices of a model hold, in words."""
    words = []
    for p in prices:
        parts = [f"from {p.valid_from}" if p.valid_from else "", f"until {p.valid_until}" if p.valid_until else ""]
        parts.append(f"for prompts of up to {p.context_up_to:,} tokens" if p.context_up_to else "")
        words.append(" ".join(part for part in parts if part))
    return ", one ".join(words)
