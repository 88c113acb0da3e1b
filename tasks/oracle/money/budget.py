"""The money one job may spend: reserved before a call, settled after it, and never more than the cap in between."""

import asyncio
import math
import threading
from collections import deque
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from routecal.tasks.errors import TaskError

# Sums are kept in whole picodollars: a token's price has more decimals than a cent, and sums of floats drift.
_PER_USD = 10**12


class BudgetReached(TaskError):
    """The next call might cost more than is left.

    Args:
        cap: allowed, in USD.
        spent: paid, in USD.
        reserved: held for calls in flight, in USD.
        needed: what the call can cost at most, in USD.
    """

    cap: float
    spent: float
    reserved: float
    needed: float

    def __str__(self) -> str:
        held = f" and {shown_usd(self.reserved)} reserved for calls in flight" if self.reserved else ""
        return (
            f"the next call can cost up to {shown_usd(self.needed)}, but of the {shown_usd(self.cap)} allowed "
            f"{shown_usd(self.spent)} is spent{held}; what is finished is stored and paid: run the same again with a "
            "higher --max-usd to go on from there"
        )


class InvalidUsd(TaskError, ValueError):
    """An amount of money that is none."""

    name: str
    value: object
    sentence = "{name} = {value!r} is not an amount in USD; give a number of at least 0"


@dataclass(frozen=True, slots=True, eq=False)
class Hold:
    """A reservation; its budget knows the rest.

    Attributes:
        usd: at least what was asked for, rounded up to a picodollar.
    """

    usd: float


@dataclass(eq=False, slots=True)
class _Waiter:
    """Somebody in `enter`, and what came of it; guarded by the budget's lock."""

    amount: int
    loop: asyncio.AbstractEventLoop
    ready: asyncio.Future[None]
    granted: Hold | None = None
    refused: BudgetReached | None = None


class Budget:
    """The cap of one job, shared by all its calls. Safe to use from several threads and event loops.

    What is spent and what is held never exceed the cap together, as long as calls cost no more than was held for them.
    Amounts are rounded up and the cap down to whole picodollars, so the doubt is never on the spender's side.

    Args:
        cap_usd: None for no cap; 0 lets nothing through, not even what is free.
        spent_usd: paid for this job before, by earlier attempts at it; may be more than the cap.

    Raises:
        InvalidUsd: one of them is negative, infinite or no number.
    """

    def __init__(self, cap_usd: float | None, spent_usd: float = 0.0) -> None:
        self._cap = None if cap_usd is None else _pico("the cap", cap_usd, ROUND_FLOOR)
        self._spent = _pico("the amount spent", spent_usd, ROUND_CEILING)
        self._held = 0
        self._holds: dict[Hold, int] = {}
        self._waiters: deque[_Waiter] = deque()
        self._lock = threading.Lock()

    @property
    def cap_usd(self) -> float | None:
        """What may be spent in all, in USD; None for no cap."""
        return None if self._cap is None else self._cap / _PER_USD

    @property
    def spent_usd(self) -> float:
        """Paid, in USD, with what was paid before; calls of unknown cost count as what was held for them."""
        return self._spent / _PER_USD

    @property
    def held_usd(self) -> float:
        """Reserved for calls in flight, in USD."""
        return self._held / _PER_USD

    def reserve(self, usd: float) -> Hold:
        """Set aside what a call can cost at most. Whoever waits in `enter` is not overtaken, but not waited for either.

        Raises:
            BudgetReached: it does not fit beside what is spent and held.
            InvalidUsd: negative, infinite or no number.
        """
        amount = _pico("the reservation", usd, ROUND_CEILING)
        with self._lock:
            if not self._fits(amount):
                raise self._reached(amount)
            return self._grant(amount)

    def carry(self, usd: float) -> Hold:
        """Hold what was reserved before this budget was made, and may be spent by now, even where it does not fit.

        Raises:
            InvalidUsd: negative, infinite or no number.
        """
        amount = _pico("the reservation", usd, ROUND_CEILING)
        with self._lock:
            return self._grant(amount)

    async def enter(self, usd: float) -> Hold:
        """`reserve`, but wait while calls in flight may yet leave enough: most cost far less than is held for them.

        First come, first served. Never wait here while holding something oneself: all might.

        Raises:
            BudgetReached: it would not fit even if nothing were held.
            InvalidUsd: negative, infinite or no number.
        """
        amount = _pico("the reservation", usd, ROUND_CEILING)
        with self._lock:
            if self._hopeless(amount):
                raise self._reached(amount)
            if not self._waiters and self._fits(amount):
                return self._grant(amount)
            loop = asyncio.get_running_loop()
            waiter = _Waiter(amount, loop, loop.create_future())
            self._waiters.append(waiter)
        try:
            await waiter.ready
        except asyncio.CancelledError:
            self._leave(waiter)
            raise
        if waiter.refused is not None:
            raise waiter.refused
        assert waiter.granted is not None
        return waiter.granted

    def settle(self, hold: Hold, usd: float | None) -> None:
        """Replace a reservation by what the call cost; None, for unknown, counts all of it.

        A cost above the reservation is counted as it is: it has been paid, cap or no cap.

        Raises:
            ValueError: the hold is not open: settled or released before, or of another budget.
            InvalidUsd: negative, infinite or no number; the hold stays open.
        """
        amount = None if usd is None else _pico("the cost", usd, ROUND_CEILING)
        with self._lock:
            held = self._holds.pop(hold, None)
            if held is None:
                raise ValueError("this hold is not open in this budget; each is settled once")
            self._held -= held
            self._spent += held if amount is None else amount
            self._serve()

    def release(self, hold: Hold) -> None:
        """Give a reservation back unused. Does nothing to one that is settled, so it may stand in a `finally`."""
        with self._lock:
            self._held -= self._holds.pop(hold, 0)
            self._serve()

    def _grant(self, amount: int) -> Hold:
        hold = Hold(amount / _PER_USD)
        self._holds[hold] = amount
        self._held += amount
        return hold

    def _fits(self, amount: int) -> bool:
        return self._cap is None or (self._cap > 0 and self._spent + self._held + amount <= self._cap)

    def _hopeless(self, amount: int) -> bool:
        """Whether it would not fit if nothing were held; what is spent never becomes less."""
        return self._cap is not None and (self._cap == 0 or self._spent + amount > self._cap)

    def _reached(self, amount: int) -> BudgetReached:
        return BudgetReached((self._cap or 0) / _PER_USD, self.spent_usd, self.held_usd, amount / _PER_USD)

    def _serve(self) -> None:
        """Answer whoever is next for as long as there is an answer. With nothing held there is one for everybody."""
        while self._waiters:
            waiter = self._waiters[0]
            if waiter.loop.is_closed():
                pass  # nobody is there to take it
            elif self._fits(waiter.amount):
                waiter.granted = self._grant(waiter.amount)
            elif self._hopeless(waiter.amount):
                waiter.refused = self._reached(waiter.amount)
            else:
                return
            self._waiters.popleft()
            if not waiter.loop.is_closed():
                waiter.loop.call_soon_threadsafe(_wake, waiter.ready)

    def _leave(self, waiter: _Waiter) -> None:
        """A cancelled waiter gives back what it was granted in the meantime, or its place."""
        with self._lock:
            if waiter.granted is not None:
                self._held -= self._holds.pop(waiter.granted)
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            self._serve()


def shown_usd(usd: float) -> str:
    """An amount to the cent if it is whole cents, else with two decimals more, or three digits of a tiny one.

    >>> shown_usd(5), shown_usd(1234.4999), shown_usd(0.0000768)
    ('$5.00', '$1,234.4999', '$0.0000768')
    """
    if usd == round(usd, 2):
        return f"${usd:,.2f}"
    return f"${usd:,.4f}" if usd >= 0.01 else f"${float(f'{usd:.3g}'):.12f}".rstrip("0")


def _pico(name: str, usd: float, rounding: str) -> int:
    """Whole picodollars of an amount as it is written: 0.1 is a tenth, not the float next to it."""
    if isinstance(usd, bool) or not isinstance(usd, int | float) or not math.isfinite(usd) or usd < 0:
        raise InvalidUsd(name, usd)
    return int((Decimal(repr(float(usd))) * _PER_USD).to_integral_value(rounding))


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
