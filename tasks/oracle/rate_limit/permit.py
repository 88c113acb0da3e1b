"""Permission to send one call, and the ways in which it ends."""

from typing import TYPE_CHECKING

from routecal.tasks.oracle.call import Fault
from routecal.tasks.oracle.rate_limit.project_limits import Quota
from routecal.tasks.oracle.rate_limit.sliding_window import WindowEntry

if TYPE_CHECKING:
    from routecal.tasks.oracle.rate_limit.limiter import RateLimiter

# What a call takes of each limited quota, in whole units: requests, tokens, nano-USD.
Amounts = dict[Quota, int]


class Permit:
    """Permission to send one call. It ends once: by `succeeded`, `failed`, `cancel` or `withdraw`."""

    __slots__ = ("_entries", "_gate", "amounts", "ended", "number", "probe", "settled")

    def __init__(
        self,
        gate: "RateLimiter",
        number: int,
        amounts: Amounts,
        entries: tuple[tuple[Quota, WindowEntry], ...],
        probe: bool,
    ) -> None:
        self._gate, self.number, self.amounts, self._entries, self.probe = gate, number, amounts, entries, probe
        self.ended = self.settled = False

    def settle(self, *, tokens: int | None = None, usd: float | None = None) -> None:
        """Put what was really used in place of the estimate; before or after the end, and more than once if need be.

        Args:
            tokens: input tokens, 0 or more; None keeps what stands.
            usd: 0 or more; None keeps what stands.
        """
        self.settled = True
        for quota, amount in self._gate.amounts(tokens or 0, usd or 0.0).items():
            if (quota == "tpm" and tokens is not None) or (quota == "usd" and usd is not None):
                self._correct(quota, amount)
        self._gate.wake()

    def succeeded(self, *, tokens: int | None = None, usd: float | None = None) -> None:
        """The model answered; `settle` with what is given. Raises RuntimeError if the permit has ended."""
        self._end()
        if tokens is not None or usd is not None:
            self.settle(tokens=tokens, usd=usd)
        self._gate.note_succeeded(self)

    def failed(self, fault: Fault) -> None:
        """The call brought a fault; unless it may have been billed it cost nothing. RuntimeError if ended before."""
        self._end()
        if not fault.maybe_billed:
            self._correct("usd", 0)
        self._gate.note_failed(self, fault)

    def cancel(self) -> None:
        """Given up while on its way: what it was to use counts as used. Nothing happens to a permit that has ended."""
        if not self.ended:
            self._end()
            self._gate.note_cancelled(self)

    def withdraw(self) -> None:
        """Never sent: give back all of it, or what was settled. Nothing happens to a permit that has ended."""
        if not self.ended:
            if not self.settled:
                for quota, _ in self._entries:
                    self._correct(quota, 0)
                self._gate.admitted -= 1
            self.cancel()

    def _end(self) -> None:
        if self.ended:
            raise RuntimeError(f"permit {self.number} has ended before")
        self.ended = True

    def _correct(self, quota: Quota, amount: int) -> None:
        for name, entry in self._entries:
            if name == quota:
                self._gate.correct(quota, entry, amount - self.amounts[name])
                self.amounts[name] = amount
