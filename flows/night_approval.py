"""A night that waits for a person: what it asks, and what becomes of the answer."""

import gc
import logging
from datetime import UTC, datetime, timedelta

from routecal.flows.approval import ask, tell_answer
from routecal.storage.head_registry import Action, RegistryEntry, history
from routecal.storage.layout import Home
from routecal.tasks.extract import open_router
from routecal.tasks.markdown import safe
from routecal.tasks.night.night_result import Ending
from routecal.tasks.night.pending_candidates import ending_of, is_decided, record_answer
from routecal.tasks.oracle.local_model import local_model

logger = logging.getLogger(__name__)


def await_answer(entry: RegistryEntry, *, hours: float) -> Ending:
    """How the night ends: as a person says in the UI, or in a terminal, or waiting on if nobody does.

    Whoever decides first decides: an answer that comes after another decision changes nothing, and the night tells so.

    Args:
        entry: that the night has written of its candidate, action `waiting`.
        hours: how long to wait.

    Raises:
        Abort: see `flows.approval.ask`.
    """
    until = datetime.now(UTC) + timedelta(hours=hours)
    at = f"{until:%Y-%m-%d %H:%M} UTC"
    awaited = f"entry {entry.number} waits for approval until {at}: resume this run, or `routecal promote` or `decline`"
    logger.info("%s", awaited)
    _let_models_go()
    said = ask(question(entry, at), awaited=awaited, until=until, is_answered=lambda: is_decided(entry))
    if said is not None:
        action: Action = "promoted" if said.promote else "refused"
        words = ("approved" if said.promote else "declined") + " in the UI" + (f": {said.note}" if said.note else "")
        if not record_answer(entry, action, words):
            logger.warning("%s, which comes after another decision and changes nothing", words)
    ending = ending_of(entry, history(Home.from_env()))
    if is_decided(entry):
        tell_answer(f"Entry {entry.number}", ending.night.reasons[0])
        return ending
    still = f"nobody has approved entry {entry.number}; `routecal promote --entry {entry.number}` still can"
    tell_answer(f"The run of entry {entry.number}", still)
    return ending.model_copy(
        update={"night": ending.night.model_copy(update={"reasons": (still, *ending.night.reasons)})}
    )


def _let_models_go() -> None:
    """Hours may pass, and others need the memory."""
    open_router.cache_clear()
    local_model.cache_clear()
    gc.collect()


def question(entry: RegistryEntry, at: str) -> str:
    """What a person reads who is asked, as Markdown.

    Args:
        entry: whose candidate waits.
        at: until when.
    """
    lines = ["# A new head waits for approval", ""]
    lines += [f"Until {at}; the head that serves goes on serving. It is entry {entry.number} of `routecal heads`."]
    lines += ["", "What is known of it:", "", *(f"- {safe(reason)}" for reason in entry.reasons), "", "To answer:", ""]
    lines += [
        "- in the UI: **Resume** this run (the button on its page), with Promote on or off",
        f"- in a terminal, with the same `ROUTECAL_HOME`: `routecal promote --entry {entry.number}` or "
        f"`routecal decline --entry {entry.number}`; the run then ends",
        "- later: if nobody answers, the candidate is kept, and the same command promotes it until another head takes "
        "over",
    ]
    return "\n".join(lines) + "\n"
