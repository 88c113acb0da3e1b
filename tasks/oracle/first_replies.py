"""The first replies of each model in a run: where none is of any use, the next thousand will not be either.

Touched from the engine's event loop alone.
"""

from dataclasses import dataclass, field

from routecal.plain_text import plain
from routecal.tasks.oracle.call import Call, Reply
from routecal.tasks.oracle.engine.stop_reasons import AllSilent, JudgeUnreadable
from routecal.tasks.oracle.grading.answering import Answer
from routecal.tasks.oracle.grading.judge_reply import has_vote

# So many replies in a row, from the first on, are no coincidence.
FIRST = 20
QUOTED = 160

_NO_ROOM = (
    "the room ran out before a word was said: raise --max-output-tokens, or lower the thinking "
    "(--medium-thinking none, --large-thinking none)"
)
_SAID_NOTHING = (
    "ask the model by hand with the same words; where it thinks first, give it more room (--max-output-tokens) or less "
    "to think about (--medium-thinking none, --large-thinking none), or set the reasoning parser of its server"
)


@dataclass(slots=True)
class FirstReplies:
    """What the models of one run have brought so far.

    Attributes:
        silent: model -> keys of its answers, as long as all of them are empty; None once one was not.
        unread: judge -> replies that held no grade, as long as all of them; None once one did.
    """

    silent: dict[str, set[str] | None] = field(default_factory=dict)
    unread: dict[str, int | None] = field(default_factory=dict)

    def count_answer(self, answer: Answer) -> AllSilent | None:
        """Count an answer; why to stop, if it and all before it are empty and there have been enough of them."""
        keys = self.silent.setdefault(answer.model, set())
        if keys is None:
            return None
        if answer.blocked or answer.text:
            self.silent[answer.model] = None
            return None
        keys.add(answer.keys[-1])
        if len(keys) < FIRST:
            return None
        return AllSilent(answer.model, FIRST, _NO_ROOM if answer.truncated else _SAID_NOTHING)

    def count_judgement(self, call: Call, reply: Reply) -> JudgeUnreadable | None:
        """Count a reply of a judge; why to stop, if it and all before it hold no grade and there have been enough."""
        n = self.unread.setdefault(call.model, 0)
        if n is None or has_vote(call, reply):
            self.unread[call.model] = None
            return None
        self.unread[call.model] = n = n + 1
        if n < FIRST:
            return None
        said = f"«{plain(reply.text, at_most=QUOTED)}»" if reply.text else reply.blocked or "nothing"
        return JudgeUnreadable(call.model, FIRST, said)
