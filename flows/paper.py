"""Consoles for texts that others wrote: names, topics and queries may hold what commands a terminal."""

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment

# They are no cells wide, so what is left stays aligned.
_DROPPED = {n: None for n in (*range(0x20), *range(0x7F, 0xA0)) if chr(n) not in "\n\t"}


def console(*, stderr: bool = False, width: int | None = None) -> Console:
    """A console on which texts are only texts."""
    made = Console(stderr=stderr, width=width)
    made.push_render_hook(Harmless())
    return made


class Harmless(RenderHook):
    """Prints everything without control characters; rich's own commands and styles are apart from the text."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """What is printed instead."""
        return [_Cleaned(one) for one in renderables]


class _Cleaned:
    def __init__(self, renderable: ConsoleRenderable) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self._renderable, options):
            yield segment if segment.control else Segment(segment.text.translate(_DROPPED), segment.style)
