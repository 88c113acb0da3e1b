"""Whether a call that failed is sent again, given up, or reason to stop the whole run."""

import random
from dataclasses import dataclass
from typing import NoReturn

from routecal.tasks.oracle.call import Call, Fault, FaultKind
from routecal.tasks.oracle.engine.labelling_job import Job
from routecal.tasks.oracle.engine.stop_reasons import BrokenReplies, NoAnswers, NoCompletion, OracleRefused

ATTEMPTS = 6
# A reply that is no answer may be one the next time; it is paid for, too.
AGAIN_IF_BROKEN = 1
# So many calls to a model that failed for good, without one success in between, are no coincidence.
FAILURES_IN_A_ROW = 20
LONGEST_BACKOFF_S = 60.0


@dataclass(slots=True)
class Tries:
    """How often one call failed; refusals by rate and quota are nobody's fault and do not count."""

    transient: int = 0
    broken: int = 0


class RetryPolicy:
    """The retry table, for the calls of one engine.

    Args:
        backoff_s: first wait after a transient fault; it doubles up to a minute.
        rng: of the jitter.
    """

    def __init__(self, backoff_s: float, rng: random.Random) -> None:
        self._first_s, self._rng = backoff_s, rng
        # (provider, model) -> calls that failed for good since the last that did not.
        self._failures: dict[tuple[str, str], int] = {}

    def succeeded(self, call: Call) -> None:
        """Note that the model answers."""
        self._failures.pop((call.provider, call.model), None)

    async def failed(self, job: Job, call: Call, fault: Fault, tries: Tries) -> None:
        """Count a fault and wait until the call may be sent again.

        Raises:
            Fault: the same, where the call is given up.
            OracleRefused, NoCompletion, BrokenReplies, NoAnswers: the run is to be stopped.
        """
        job.tally.retries[fault.kind.value] += 1
        if fault.kind is FaultKind.FATAL:
            stop = NoCompletion if fault.code == 200 else OracleRefused
            raise stop(call.model, fault.message, fault.hint) from fault
        if fault.kind is FaultKind.ROW:
            self._given_up(call, fault)
        if fault.kind is FaultKind.BROKEN:
            tries.broken += 1
            if tries.broken > AGAIN_IF_BROKEN:
                self._given_up(call, fault)
            await job.pause(self._backoff_s(tries.broken))
        # The gate has taken note of rates and quotas.
        if fault.kind is FaultKind.TRANSIENT:
            tries.transient += 1
            if tries.transient >= ATTEMPTS:
                self._given_up(call, fault)
            await job.pause(self._backoff_s(tries.transient))

    def _given_up(self, call: Call, fault: Fault) -> NoReturn:
        """Raise the fault, or stop where a model fails for call after call, each as if it were that row's own trouble.

        Raises:
            OracleRefused: it takes none of our requests, so something is wrong with all of them.
            BrokenReplies: what it sends is no answer.
            NoAnswers: nothing came back from it, so it is down, or the way to it is.
        """
        who = (call.provider, call.model)
        self._failures[who] = self._failures.get(who, 0) + 1
        if self._failures[who] < FAILURES_IN_A_ROW:
            raise fault
        if fault.kind is FaultKind.ROW:
            said = f"so it was for {FAILURES_IN_A_ROW} requests in a row"
            if call.config.get("schema"):
                said += "; if the server knows no JSON schema, give --judge-json object, or --judge-json prompt"
            raise OracleRefused(call.model, fault.message, said)
        if fault.kind is FaultKind.BROKEN:
            raise BrokenReplies(call.model, FAILURES_IN_A_ROW, fault.message, fault.hint)
        raise NoAnswers(call.model, FAILURES_IN_A_ROW, str(fault))

    def _backoff_s(self, tries: int) -> float:
        """Full jitter: anything up to the doubled wait, so that calls that failed together do not return together."""
        return self._rng.uniform(0.0, min(LONGEST_BACKOFF_S, self._first_s * 2.0**tries))
