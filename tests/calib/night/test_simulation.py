"""The simulation of nights takes its decisions where the product does, and tells the same story twice."""

from pathlib import Path

import pytest

from routecal.storage.head_registry import history
from routecal.storage.layout import Home
from tests.bench import nights
from tests.bench.nights import simulate


def test_a_few_nights_promote_a_head_and_rest_and_repeat_themselves(tmp_path: Path) -> None:
    one, two = (simulate("quiet", Home(root=str(tmp_path / name)), nights=6, seed=1) for name in "ab")
    assert one == two
    assert next(entry.action for entry in history(Home(root=str(tmp_path / "a")))) == "promoted"
    assert 0 < one.labelled < 6
    assert one.lost == 0


def test_it_asks_the_product_s_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nights, "decide", lambda *_, **__: pytest.fail("the gate was asked"))
    with pytest.raises(pytest.fail.Exception, match="the gate was asked"):
        simulate("quiet", Home(root=str(tmp_path)), nights=3)
