"""The tables of a benchmark for people: Markdown."""

from collections.abc import Sequence

from routecal.calib.comparison import Rank
from routecal.calib.metrics import Estimate
from routecal.calib.trial.methods import AS_WRITTEN, DEFAULT
from routecal.tasks.benchmark.results import PROBE, RAW, TEMPERATURE, SetTable, is_better
from routecal.tasks.markdown import pipe_table, safe

NOTE = """ECE has 10 equal-width bins. Values are means over divisions and training seeds; ± is half the width of a 95%
interval over test queries, divisions *and* seeds (pigeonhole bootstrap). ECE has none: read it beside noise, the mean
ECE of a perfectly calibrated model with the same confidences, and in brackets what such a model stays at or below on
97.5% of test sets; in band: share of seeds with an ECE at most that. Δ Brier: minus the default head's, paired, in
thousandths; ▲ the default is significantly better, ▼ significantly worse, = they tie. Intervals are not corrected for
the number of comparisons."""


def benchmark_page(
    tables: Sequence[SetTable],
    ranks: Sequence[Rank],
    shifted: Sequence[SetTable],
    title: str,
    *,
    decisions: Sequence[str] = (),
) -> str:
    """The whole page; `decisions` are the parts that `decision_pages` makes."""
    parts = [f"# {title}", *decisions, "## Ranks over sets and routers, by Brier", ranks_table(ranks)]
    parts += ["## Sets", NOTE]
    for table in tables:
        parts += [_heading(table), set_markdown(table)]
    if shifted:
        parts += ["## Trained on one set, tested on another", shift_table(shifted)]
    return "\n\n".join(parts) + "\n"


def ranks_table(ranks: Sequence[Rank], *, metric: str = "Brier", bold: str = DEFAULT) -> str:
    """Mean ranks by a metric, one method in bold; methods that tie with the first say so."""
    rows = [
        (
            f"**{one.method}**" if one.method == bold else one.method,
            f"{one.mean_rank:.2f}",
            f"{one.mean_tied_rank:.2f}",
            difference(one.behind) + (" =" if one.is_first and i else ""),
        )
        for i, one in enumerate(ranks)
    ]
    columns = ("method", "mean rank", "mean rank, ties by interval", f"mean {metric} minus that of the first (10⁻³)")
    return pipe_table(columns, rows)


def set_markdown(table: SetTable) -> str:
    """Method, ECE, noise floor, Brier, AUROC, AURC: the table of the method's description."""
    rows = [
        (
            _name(line.method),
            f"{line.ece:.3f}",
            f"{line.noise_mean:.3f} (≤ {line.noise_high:.3f})",
            f"{line.in_band:.0%}",
            plus_minus(line.brier, digits=4),
            "" if line.method == DEFAULT else difference(line.brier_behind) + " " + _verdict(line.brier_behind),
            plus_minus(line.auroc),
            plus_minus(line.aurc),
        )
        for line in table.lines
    ]
    return pipe_table(("method", "ECE", "noise", "in band", "Brier", "Δ Brier (10⁻³)", "AUROC", "AURC"), rows)


def shift_table(shifted: Sequence[SetTable]) -> str:
    """ECE and AUROC of a few methods on rows of another set."""
    shown = (RAW, TEMPERATURE, PROBE, AS_WRITTEN, DEFAULT)
    methods = [m for m in shown if all(any(line.method == m for line in table.lines) for table in shifted)]
    rows = [
        (
            safe(f"{table.name} → {table.target}"),
            table.router,
            f"{table.accuracy:.2f}",
            *(f"{table.line(m).ece:.3f}" for m in methods),
            *(_value(table.line(m).brier) for m in methods),
        )
        for table in shifted
    ]
    columns = (
        "trained → tested",
        "router",
        "accuracy",
        *(f"ECE {m}" for m in methods),
        *(f"Brier {m}" for m in methods),
    )
    return pipe_table(columns, rows)


def plus_minus(estimate: Estimate | None, *, digits: int = 3) -> str:
    """Value ± half the width of its interval."""
    if estimate is None:
        return "–"
    return f"{estimate.value:.{digits}f} ± {(estimate.high - estimate.low) / 2:.{digits}f}"


def difference(estimate: Estimate | None) -> str:
    """A difference with its interval, in thousandths."""
    return "–" if estimate is None else f"{estimate.times(1000):+.1f}"


def _verdict(behind: Estimate | None) -> str:
    if is_better(behind):
        return "▼"
    return "▲" if is_better(behind, lower=False) else "="


def _value(estimate: Estimate | None) -> str:
    return "–" if estimate is None else f"{estimate.value:.3f}"


def _heading(table: SetTable) -> str:
    return (
        f"### {safe(table.name)}, {table.router} router\n\n{table.n:,} test queries, router right on "
        f"{table.accuracy:.1%}, {table.n_labelled:,.0f} labels."
    )


def _name(method: str) -> str:
    return f"**{method}**" if method == DEFAULT else method
