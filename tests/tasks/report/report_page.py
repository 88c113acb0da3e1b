"""What a page of HTML says, and what it is made of."""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa

from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.layout import Home
from routecal.tasks.evaluate import Evaluation

HOSTILE = ("<script>alert(1)</script>", "{{ 7 * 7 }}", "{% include 'x' %}", '"><img src=x onerror=alert(1)>', "a & b")


class Page(HTMLParser):
    """Tags with their attributes, text, headings, and the cells of every table row."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.headings: list[tuple[str, str]] = []
        self.text, self._in_cell, self._in_heading = "", False, False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("h1", "h2"):
            self.headings.append((tag, ""))
            self._in_heading = True
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in_heading:
            tag, text = self.headings[-1]
            self.headings[-1] = (tag, text + data)
        if self._in_cell:
            self.rows[-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False
        if tag in ("h1", "h2"):
            self._in_heading = False


def gains_of(examples: Artifact) -> Artifact:
    """As if an outcome head told most of what the large model gains; topics that are large enough to be shown."""
    table = read_table(examples)
    right = np.array([[g == "CORRECT" for g in table[f"{m}_grade"].to_pylist()] for m in ("medium", "large")], float)
    told = np.clip(0.5 + 0.3 * (right - 0.5) + np.random.default_rng(0).normal(0, 0.05, right.shape), 0, 1)
    columns = {name: table[name] for name in ("query_id", "split")}
    columns |= {"gain": told[1] - told[0], "medium_right": told[0], "large_right": told[1], "confidence": told[0]}
    return write_table(pa.table(columns), "outcome_predictions", home=Home.from_env())


def evaluation_of(report: Path) -> Evaluation:
    metrics = json.loads((report / "metrics.json").read_text())
    return Evaluation.model_validate({name: metrics[name] for name in Evaluation.model_fields})
