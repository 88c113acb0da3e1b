"""Consoles for texts that others wrote: names, topics and queries may hold what commands a terminal."""

import re
from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment

from routecal.plain_text import CONTROL


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
            yield segment if segment.control else Segment(CONTROL.sub(_kept, segment.text), segment.style)


def _kept(control: re.Match[str]) -> str:
    """Line ends and tabs. The others are no cells wide, so what is left stays aligned."""
    return control[0] if control[0] in "\n\t" else ""
