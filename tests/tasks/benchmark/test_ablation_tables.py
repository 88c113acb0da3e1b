"""The ablation's tables: Markdown, LaTeX and a forest plot that say the same."""

import re

import numpy as np
import pytest

from routecal.calib.comparison import paired_counts
from routecal.calib.comparison.scores import score_methods
from routecal.calib.trial.ablation import REFERENCE, VARIANTS
from routecal.tasks.benchmark.ablation_tables import (
    Effect,
    ablation_latex,
    ablation_page,
    ablation_plot,
    booktabs,
    effects,
    escaped,
)
from routecal.tasks.benchmark.cell_scores import Scored
from routecal.tasks.benchmark.markdown_tables import benchmark_page, shift_table
from routecal.tasks.benchmark.results import SetTable

WORSE = "reward linear"


def scored(kind: str) -> Scored:
    """Every variant is the default, but one that halves every confidence."""
    rng = np.random.default_rng(len(kind))
    q = rng.random(300)
    y = (rng.random(300) < q).astype(float)
    counts = list(paired_counts([(np.arange(300), 0)], n_replicates=200))
    spoilt = {name: 0.5 if name == WORSE else 1.0 for name in VARIANTS}
    p = {name: [s * np.clip(q + 0.01 * i, 0, 1) for i in range(2)] for name, s in spoilt.items()}
    return Scored(
        "a_set", "a_set", kind, 300, 90.0, 0.5, 1, {name: score_methods(seeds, y, counts) for name, seeds in p.items()}
    )


@pytest.fixture(scope="module")
def both() -> list[Scored]:
    return [scored("regularised"), scored("overconfident")]


@pytest.fixture(scope="module")
def found(both: list[Scored]) -> list[Effect]:
    return effects(both)


def test_every_variant_is_pooled_over_routers_and_under_each(found: list[Effect]) -> None:
    assert len(found) == 3 * (len(VARIANTS) - 1)
    assert REFERENCE not in {effect.variant for effect in found}
    (over_all,) = (e for e in found if (e.variant, e.router) == (WORSE, None))
    alone = [e.brier.value for e in found if e.variant == WORSE and e.router is not None]
    assert over_all.brier.value == pytest.approx(np.mean(alone))
    assert over_all.brier.low > 0


def test_the_page_names_every_variant_and_marks_the_worse(found: list[Effect], both: list[Scored]) -> None:
    page = ablation_page(found, both, "Ablation", "| outcome |")
    assert all(f"| {name} |" in page for name in VARIANTS if name != REFERENCE)
    line = next(line for line in page.splitlines() if line.startswith(f"| {WORSE} |"))
    assert line.count("▼") == 1  # Brier; the order of the rows is what it was, and ECE has no verdict
    (effect,) = (e for e in found if (e.variant, e.router) == (WORSE, None))
    means = {m: np.mean([[s.ece for s in one.methods[m].seeds] for one in both]) for m in (WORSE, REFERENCE)}
    assert effect.ece == pytest.approx(means[WORSE] - means[REFERENCE])
    assert line.split("|")[-2].strip() == f"{1000 * effect.ece:+.1f}"
    assert "a_set, regularised" in page


def test_a_set_named_by_a_hostile_file_is_text(both: list[Scored]) -> None:
    name = "<img src=x onerror=alert(1)> | [x](javascript:alert(1)) a_set"
    page = ablation_page([], [both[0]._replace(name=name)], "Ablation", "")
    assert "<" not in page.partition("## By set")[2]
    assert r"&lt;img src=x onerror=alert\(1\)&gt; \| \[x\]\(javascript:alert\(1\)\) a_set, regularised" in page
    table = SetTable(name=name, target=name, router="regularised", n=9, n_labelled=9.0, accuracy=0.5, lines=[])
    for text in (benchmark_page([table], [], [], "Benchmark"), shift_table([table])):
        assert "<img" not in text
        assert "](javascript" not in text


def test_the_latex_table_is_well_formed_and_says_the_same(found: list[Effect]) -> None:
    text = ablation_latex(found, "Ablation: 50% & more_or_less")
    assert r"\caption{Ablation: 50\% \& more\_or\_less}" in text
    body = text.split(r"\midrule", 1)[1].split(r"\bottomrule")[0]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == len(VARIANTS) - 1
    assert all(len(re.findall(r"(?<!\\)&", row)) == 4 for row in rows)
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    worse = next(row for row in rows if "linear (improper)" in row and "times" not in row)
    assert worse.count(r"\mathbf") == 1
    assert not re.search(r"[×±≤≥Δ−–·]", text)


def test_the_forest_plot_draws_all_of_it(found: list[Effect]) -> None:
    assert ablation_plot(found, "Ablation")[1:4] == b"PNG"
    assert ablation_plot(found, "Ablation", "pdf")[:4] == b"%PDF"


def test_undefined_is_a_dash() -> None:
    nothing = Effect(variant="x", factor="a", level="b", router=None, brier=None, ece=0.001, auroc=None)
    assert ablation_latex([nothing], "t").count("& --") == 2


def test_text_is_escaped_and_an_empty_row_is_a_rule() -> None:
    assert escaped("a\\b{c}~^#$") == r"a\textbackslash{}b\{c\}\textasciitilde{}\textasciicircum{}\#\$"
    table = booktabs(["a", "b"], [["1", "2"], (), ["3", "4"]], caption="c", label="tab:x")
    assert table.splitlines()[4] == r"\begin{tabular}{lr}"
    assert table.count(r"\midrule") == 2
