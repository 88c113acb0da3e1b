"""From queries to the token ids that a router reads: the template, special tokens once, and the window."""

from collections.abc import Sequence
from functools import cached_property
from itertools import takewhile
from typing import Any, NamedTuple

from routecal.calib.checkpoint_errors import NotQueries, QueryUnreadable, RouterUnusable

# Of one query at most so many tokens are read where nothing else is asked for: a decoder's window may hold 100,000,
# which takes two cores many minutes. Nobody's question is longer; its start and its end are kept.
QUERY_TOKENS = 2048
# No tokenizer makes tokens longer than this on average, so that characters beyond can be left out before it runs.
_CHARACTERS_PER_TOKEN = 32
# Queries that begin in as many ways as tokenizers tell apart.
_UNLIKE = ("a", "Which?", " b", "7", "\n\n(", "Ünter", "北京", "_x")
# What stands for the query in a chat template that is rendered; templates strip blanks around it.
_MARK = "QUERY7c1e"


class Prompt(NamedTuple):
    """One query as token ids.

    Attributes:
        ids: what is read.
        is_cut: some of the query is not.
    """

    ids: list[int]
    is_cut: bool


class Tokenised(NamedTuple):
    """Queries as one router's prompts, and the seconds that it took to make them."""

    prompts: list[Prompt]
    seconds: float


def texts_of(queries: object) -> list[str]:
    """The queries as a list: one str, or any ordered collection of str.

    Raises:
        NotQueries: something else; names the first that is no str by its index and type.
        QueryUnreadable: a query is blank, or no valid text.

    >>> texts_of("one query")
    ['one query']
    """
    if isinstance(queries, str):
        return texts_of([queries])
    try:
        # These can be iterated over too, and give other things than queries, or no order.
        if isinstance(queries, bytes | bytearray | memoryview | dict | set | frozenset) or hasattr(queries, "columns"):
            raise TypeError
        texts = list(queries)  # type: ignore[call-overload]
    except TypeError as error:
        raise NotQueries(None, type(queries).__name__) from error
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise NotQueries(i, type(text).__name__)
    if blank := tuple(i for i, text in enumerate(texts) if not text.strip()):
        raise QueryUnreadable(blank, len(texts), "they are blank; leave them out")
    if broken := tuple(i for i, text in enumerate(texts) if not _is_unicode(text)):
        reason = "they hold half of a surrogate pair, which is no character; read their file as UTF-8 again"
        raise QueryUnreadable(broken, len(texts), reason)
    return [str(text) for text in texts]


def chat_template(tokenizer: Any) -> str | None:
    """The template whose prompts are those of a gateway that renders the tokenizer's chat template with the query as
    one message of the user, and tokenises the text with special tokens: of some families they stand there twice.

    None where there is no chat template, or where it does not hold the query as it is.
    """
    if not tokenizer.chat_template:
        return None
    text = chat_text(tokenizer, _MARK)
    before, *rest = text.split(_MARK)
    if len(rest) != 1 or "{query}" in text:
        return None
    start, end = _added(tokenizer)
    # `Prompts` drops one of two: a third is written.
    twice_before = bool(start) and _plain(tokenizer, before)[: len(start)] == start
    twice_after = bool(end) and _plain(tokenizer, rest[0])[-len(end) :] == end
    start_text, end_text = str(tokenizer.decode(start)) * twice_before, str(tokenizer.decode(end)) * twice_after
    return f"{start_text}{before}{{query}}{rest[0]}{end_text}"


def chat_text(tokenizer: Any, query: str) -> str:
    """One message of the user as the chat template renders it, up to where the assistant's answer begins."""
    message = [{"role": "user", "content": query}]
    return str(tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True))


class Prompts:
    """Makes prompts of queries.

    Args:
        tokenizer: of the checkpoint.
        template: text with `{query}` once. A rendered chat template may begin with the token that the tokenizer puts
            before every text, and end with the one it puts after: each is there once all the same.
        window: tokens that can be read, the spare ones included.
        spare: tokens that must stay free after a prompt.
        is_capped: read `QUERY_TOKENS` of a query at most.
        n_rows: of the embedding; a token beyond is refused.
        path: of the checkpoint, for messages.

    Raises:
        RouterUnusable: the template alone fills the window.
    """

    def __init__(
        self, tokenizer: Any, template: str, *, window: int, spare: int, is_capped: bool, n_rows: int, path: str
    ) -> None:
        self._tokenizer, self._template, self._n_rows = tokenizer, template, n_rows
        before, _, after = template.partition("{query}")
        start, end = _added(tokenizer)
        own_start = bool(start) and _plain(tokenizer, before)[: len(start)] == start
        own_end = bool(end) and _plain(tokenizer, after)[-len(end) :] == end
        self._drop_start, self._drop_end = len(start) * own_start, len(end) * own_end
        self.empty = self._ids([before + after])[0]
        room = window - spare
        if len(self.empty) >= room:
            raise RouterUnusable(
                path,
                f"its window of {window} tokens must hold {spare} beside the prompt, and the template takes "
                f"{len(self.empty)}; shorten the template or widen the window",
            )
        cap = len(self.empty) + QUERY_TOKENS
        self.is_capped = is_capped and cap < room
        self.room = min(room, cap) if is_capped else room

    @property
    def has_own_special_tokens(self) -> bool:
        """Whether the template holds special tokens that the tokenizer would add a second time."""
        return bool(self._drop_start or self._drop_end)

    @cached_property
    def beginning(self) -> list[int]:
        """The tokens that a prompt begins with whatever the query, as far as a few unlike ones show."""
        rows = self._ids([self._template.replace("{query}", text) for text in _UNLIKE])
        alike = takewhile(lambda tokens: len(set(tokens)) == 1, zip(*rows, strict=False))
        return [tokens[0] for tokens in alike]

    def of(self, queries: Sequence[str]) -> list[Prompt]:
        """A prompt per query.

        Raises:
            QueryUnreadable: a query has no token, for the tokenizer drops its characters, or one without an embedding.
        """
        short = [self._shortened(query) for query in queries]
        ids = self._ids([self._template.replace("{query}", query) for query in short])
        if nothing := tuple(i for i, row in enumerate(ids) if row == self.empty or not row):
            reason = "the router's tokenizer makes no token of them (invisible characters alone, say); leave them out"
            raise QueryUnreadable(nothing, len(queries), reason)
        made = [
            Prompt(cut(row, self.room), len(row) > self.room or len(query) < len(whole))
            for row, query, whole in zip(ids, short, queries, strict=True)
        ]
        if foreign := tuple(i for i, prompt in enumerate(made) if max(prompt.ids) >= self._n_rows):
            reason = "they hold a special token that the router's embedding has no row for; leave it out"
            raise QueryUnreadable(foreign, len(made), reason)
        return made

    def _shortened(self, query: str) -> str:
        """Its start and its end, if tokens of what lies between could not be read anyway."""
        side = _CHARACTERS_PER_TOKEN * self.room
        return query if len(query) <= 2 * side else query[:side] + query[-side:]

    def _ids(self, texts: list[str]) -> list[list[int]]:
        # quietly: what is too long is cut by our own rule
        rows = self._tokenizer(texts, verbose=False)["input_ids"] if texts else []
        return [list(row[self._drop_start : len(row) - self._drop_end]) for row in rows]


def cut(prompt: list[int], room: int) -> list[int]:
    """A prompt with the middle cut out if it is too long, so that its end, the question, is read.

    >>> cut([1, 2, 3, 4, 5], 3)
    [1, 4, 5]
    """
    head = room // 2
    return prompt if len(prompt) <= room else prompt[:head] + prompt[len(prompt) - (room - head) :]


def _plain(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []


def _added(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The tokens that the tokenizer puts before and after every text."""
    plain = _plain(tokenizer, "a")
    whole = list(tokenizer("a")["input_ids"])
    for i in range(len(whole) - len(plain) + 1 if plain else 0):
        if whole[i : i + len(plain)] == plain:
            return whole[:i], whole[i + len(plain) :]
    return [], []


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
