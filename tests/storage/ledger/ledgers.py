"""Made-up calls, and ledgers whose sessions die on demand."""

from routecal.storage.ledger import Attempt, CallEnd, CallStart, Ledger

WORST_USD = 0.5


def start(key, **changes):
    facts = {"provider": "gemini", "model": "flash", "stage": "medium", "job": "j", "prompt_version": "v1"}
    return CallStart(key, **(facts | {"tier": "online", "reserved_usd": WORST_USD} | changes))


def finish(key, response=None, **changes):
    facts = {"model_version": "flash-001", "response_id": "r", "usd": 0.25, "attempts": 1, "latency_ms": 200}
    facts |= {"tokens_prompt": 100, "tokens_cached": 0, "tokens_output": 20, "tokens_thinking": None}
    return CallEnd(key, response if response is not None else f'{{"of": "{key}"}}', **(facts | changes))


def failure(key, **changes):
    facts = {"job": "j", "stage": "medium", "model": "flash", "outcome": "transient", "code": "503"}
    return Attempt(key, **(facts | {"message": "overloaded", "response": None, "usd": 0.0} | changes))


class Ledgers:
    """Opens ledgers on one URL; those in `dead` count as dead to all others, and so do closed ones."""

    def __init__(self, url):
        self.url, self.dead, self.opened = url, set(), []

    def open(self, **options):
        ledger = Ledger.open(self.url, is_dead=lambda s, now: s.closed_at is not None or s.id in self.dead, **options)
        self.opened.append(ledger)
        return ledger

    def crash(self, ledger):
        """As if its process had gone: nothing is closed, nothing released."""
        self.dead.add(ledger.session)
        ledger._transactions.dispose()
        self.opened.remove(ledger)

    def dispose(self):
        for ledger in self.opened:
            ledger._transactions.dispose()


def stutter(ledger):
    """From now on every transaction is done twice, as after a connection that broke before it confirmed a commit."""
    once = ledger._transactions.run

    def twice(work, **options):
        once(work, **options)
        return once(work, **options)

    ledger._transactions.run = twice
