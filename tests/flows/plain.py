"""Reports without what other tests look at: one baseline and no figures, half of what a small flow takes."""

import pytest

from routecal.tasks import evaluate, figures


def make_plain(patch: pytest.MonkeyPatch) -> None:
    """Spare the flows of this process most of their reports."""
    patch.setattr(evaluate, "usable", lambda _: ("constant", "temperature"))
    patch.setattr(figures, "_figures", lambda *_: dict.fromkeys(("reliability", "selective"), figures.Figure(b"", "")))
