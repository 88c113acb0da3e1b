"""The tables and the forest plot of an ablation: Markdown, LaTeX with the package booktabs, PNG and PDF."""

from collections.abc import Iterable, Sequence

import numpy as np
from pydantic import BaseModel, Field

from routecal.calib.metrics import Estimate
from routecal.calib.plots import Format, forest_plot, render
from routecal.calib.trial.ablation import REFERENCE, VARIANTS
from routecal.tasks.benchmark.cell_scores import Scored
from routecal.tasks.benchmark.markdown_tables import difference
from routecal.tasks.benchmark.results import METRICS, is_better, pooled_difference
from routecal.tasks.markdown import pipe_table, safe

TITLES = {"brier": "Brier", "auroc": "AUROC"}
NOTE = """One choice of the default changed at a time, and the pairs that answer a question together; not the full
product. Each variant has the default's rows, epochs, learning rates and early stopping. Differences to the default, in
thousandths, with paired 95% intervals over test queries, divisions and training seeds (pigeonhole bootstrap), pooled
over sets and routers, which count alike; questions that two sets share are resampled together. ▲ significantly better
than the default, ▼ significantly worse, = tie; one interval in twenty leaves out 0 by chance. Δ ECE is the difference
alone: that of two errors, each too large by its own noise, has no interval."""
OUTCOME_NOTE = """RL on the utility of sampled decisions after the outcome head's regressions, and as many passes by the
proper score alone and by the squared error of the gain, its expected gradient without samples. Differences to the
regressions alone: area of the cost-quality curve over random, and Brier of three probabilities."""
_ESCAPED = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "×": r"$\times$",
    "±": r"$\pm$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "Δ": r"$\Delta$",
    "−": "$-$",
    "–": "--",
    "·": r"$\cdot$",
}


class Effect(BaseModel, frozen=True):
    """One variant minus the default, by metric, pooled over sets and routers."""

    variant: str
    factor: str
    level: str
    router: str | None  # None: both
    brier: Estimate | None
    ece: float = Field(description="of the means over seeds; no interval, see `calib.metrics.paired_difference`")
    auroc: Estimate | None


def effects(scored: Sequence[Scored]) -> list[Effect]:
    """Every variant minus the default: over all routers, then under each alone where there are several."""
    kinds = list(dict.fromkeys(one.kind for one in scored))
    found = []
    for router in [None, *(kinds if len(kinds) > 1 else [])]:
        chosen = [one for one in scored if router in (None, one.kind)]
        for name, variant in VARIANTS.items():
            if name != REFERENCE:
                ece = float(np.mean([_mean_ece(one, name) - _mean_ece(one, REFERENCE) for one in chosen]))
                found.append(
                    Effect(
                        variant=name,
                        factor=variant.factor,
                        level=variant.level,
                        router=router,
                        brier=pooled_difference(chosen, name, REFERENCE, "brier"),
                        ece=ece,
                        auroc=pooled_difference(chosen, name, REFERENCE, "auroc"),
                    )
                )
    return found


def _mean_ece(scored: Scored, method: str) -> float:
    """Over divisions and training seeds."""
    return float(np.mean([alone.ece for alone in scored.methods[method].seeds]))


def ablation_page(found: Sequence[Effect], scored: Sequence[Scored], title: str, outcome_variants: str) -> str:
    """The whole page, Markdown; the table of the outcome head's variants comes made."""
    parts = [f"# {title}", NOTE]
    for router in dict.fromkeys(effect.router for effect in found):
        parts.append(f"## {'All routers' if router is None else router.capitalize() + ' router'}")
        own = [effect for effect in found if effect.router == router]
        rows = [
            (e.variant, f"{e.factor}: {e.level}", *(_cell(e, m) for m in TITLES), f"{1000 * e.ece:+.1f}") for e in own
        ]
        columns = ("variant", "what", *(f"Δ {title} (10⁻³)" for title in (*TITLES.values(), "ECE")))
        parts.append(pipe_table(columns, rows))
    parts += ["## By set and router: Δ Brier (10⁻³)", _by_set(scored)]
    parts += ["## Outcome head", OUTCOME_NOTE, outcome_variants]
    return "\n\n".join(parts) + "\n"


def ablation_latex(found: Sequence[Effect], caption: str) -> str:
    """The table over all routers, for a paper."""
    rows: list[Sequence[str]] = []
    for effect in (e for e in found if e.router is None):
        if rows and rows[-1][0] != escaped(effect.factor):
            rows.append(())
        cells = [_latex(getattr(effect, metric)) for metric in TITLES]
        rows.append((escaped(effect.factor), escaped(effect.level), *cells, f"{1000 * effect.ece:+.1f}"))
    columns = ("Factor", "Level", *(f"Δ {title} · 1000" for title in (*TITLES.values(), "ECE")))
    return booktabs(columns, rows, caption=caption, label="tab:ablation", text_columns=2)


def ablation_plot(found: Sequence[Effect], title: str, fmt: Format = "png") -> bytes:
    """The forest plot over all routers."""
    own = [effect for effect in found if effect.router is None]
    differences = {name: [getattr(effect, metric) for effect in own] for metric, name in TITLES.items()}
    lower = {name: METRICS[metric] for metric, name in TITLES.items()}
    return render(forest_plot([e.variant for e in own], differences, lower_is_better=lower, title=title), fmt)


def _by_set(scored: Sequence[Scored]) -> str:
    rows = [
        (name, *(difference(pooled_difference([one], name, REFERENCE, "brier")) for one in scored))
        for name in VARIANTS
        if name != REFERENCE
    ]
    return pipe_table(("variant", *(safe(f"{one.name}, {one.kind}") for one in scored)), rows)


def _cell(effect: Effect, metric: str) -> str:
    estimate, lower = getattr(effect, metric), METRICS[metric]
    verdict = "▲" if is_better(estimate, lower=lower) else "▼" if is_better(estimate, lower=not lower) else "="
    return f"{difference(estimate)} {verdict}"


def _latex(estimate: Estimate | None) -> str:
    if estimate is None:
        return "--"
    return interval(1000 * estimate.value, 1000 * estimate.low, 1000 * estimate.high, digits=1)


def escaped(text: str) -> str:
    """Text as LaTeX shows it.

    >>> escaped("max_prob × 95%")
    'max\\\\_prob $\\\\times$ 95\\\\%'
    """
    return "".join(_ESCAPED.get(character, character) for character in text)


def interval(value: float, low: float, high: float, *, digits: int) -> str:
    """A signed number with its interval, bold where the interval leaves out 0; already LaTeX.

    >>> interval(-0.5, -1.0, 0.25, digits=1)
    '$-0.5$ [$-1.0$, $+0.2$]'
    """
    number = f"{value:+.{digits}f}"
    shown = rf"\mathbf{{{number}}}" if low > 0 or high < 0 else number
    return f"${shown}$ [${low:+.{digits}f}$, ${high:+.{digits}f}$]"


def booktabs(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str, label: str, text_columns: int = 1
) -> str:
    r"""A floating table; needs \usepackage{booktabs}.

    Args:
        columns: headings, plain text.
        rows: cells, already LaTeX; an empty row is a thin rule.
        caption, label: plain text, and what \ref takes.
        text_columns: how many columns are aligned left; the others are aligned right.
    """
    align = "l" * text_columns + "r" * (len(columns) - text_columns)
    body = [" & ".join(cells) + r" \\" if cells else r"\midrule" for cells in rows]
    lines = [
        r"\begin{table}[t]",
        r"\centering",
        rf"\caption{{{escaped(caption)}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{{align}}}",
        r"\toprule",
        " & ".join(escaped(column) for column in columns) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"
