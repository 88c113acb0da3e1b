"""The decisions of a benchmark for people: Markdown."""

from collections.abc import Sequence

from routecal.calib.metrics import Estimate
from routecal.calib.trial.decision_scores import DELTA, MARGINS
from routecal.calib.trial.decisions import CONFIDENCE, JOINT, MEDIUM_WRONG, REGRESSION
from routecal.tasks.benchmark.decision_bars import Bar
from routecal.tasks.benchmark.decision_results import LARGE_PRICE, MEDIUM_PRICE, ORACLE, DecisionsScored
from routecal.tasks.benchmark.decision_tables import DecisionTable, RuleRow, rule_difference, rule_standings
from routecal.tasks.benchmark.markdown_tables import difference, plus_minus, ranks_table
from routecal.tasks.benchmark.results import is_better
from routecal.tasks.markdown import pipe_table, safe

NOTE = f"""Every rule says how much a query needs the large model, and is judged by the order and by one threshold.
Area: of the curve of quality over the share sent to the large model, over random (0 random, 1 oracle). Saving: the
loosest threshold that the labelled rows, each told by models that it did not teach, allow for the promise "at most so
much quality lost against all-large, with {1 - DELTA:.0%}"; saving and quality are then measured on the test rows. Best:
the largest saving at any threshold that keeps the margin on the test rows themselves, in hindsight. Broken: share of
divisions and seeds whose test rows lose more than the margin. Costs are those recorded with the outcomes where every
row has them, else {MEDIUM_PRICE:.0f} : {LARGE_PRICE:.0f} for an answer. ± is half the width of a 95% interval over test
queries, divisions and seeds; Δ area, in thousandths, is minus the joint outcome head's, paired: ▲ the head is
significantly better, ▼ significantly worse, = they tie. Intervals are not corrected for the number of comparisons."""
_MARKS = {True: "met", False: "**missed**", None: "–"}
# By which variants of the outcome head are judged, and whether less is better.
_JUDGED = {"area": False, "Brier, confidence": True, "Brier, medium_right": True, "Brier, large_right": True}
_CURVE = (JOINT, CONFIDENCE, MEDIUM_WRONG)


def decisions_page(
    scored: Sequence[DecisionsScored], tables: Sequence[DecisionTable], held: Sequence[Bar]
) -> list[str]:
    """The parts of the page: what was asked, the ranks, all sets together, each by itself, what a label buys."""
    first = [table for table in tables if table.asked == tables[0].asked]
    own = [one for one in scored if one.asked == tables[0].asked]
    parts = ["## Decisions", NOTE, bars_table(held)]
    parts += ["### Ranks over sets and routers, by area", ranks_table(rule_standings(own), metric="area", bold=JOINT)]
    for table in first:
        parts += [_heading(table), decision_markdown(table), stated_markdown(table)]
    if len(first) < len(tables):
        parts += ["### What a label buys, over all sets and routers", curve_markdown(tables)]
    return parts


def variants_table(scored: Sequence[DecisionsScored]) -> str:
    """Every variant of the outcome head minus the regression alone, over all sets and routers."""
    rows = []
    for variant in scored[0].rules:
        if variant not in (REGRESSION, ORACLE):
            found = {metric: rule_difference(scored, variant, REGRESSION, metric) for metric in _JUDGED}
            rows.append((variant, *(_marked(found[metric], lower) for metric, lower in _JUDGED.items())))
    return pipe_table(("variant", *(f"Δ {metric} (10⁻³)" for metric in _JUDGED)), rows)


def bars_table(found: Sequence[Bar]) -> str:
    """Claim, what was asked, what was found, and whether it is met."""
    rows = [(bar.claim, bar.asked, safe(bar.found), _MARKS[bar.met]) for bar in found]
    return pipe_table(("claim", "asked", "found", ""), rows)


def decision_markdown(table: DecisionTable) -> str:
    """Area, and what is saved at each margin."""
    columns = ["rule", "area", "Δ area (10⁻³)"]
    for margin in MARGINS:
        columns += [f"saving, {margin}", "quality, points", "best", "broken"]
    return pipe_table(tuple(columns), [_row(line) for line in table.lines])


def stated_markdown(table: DecisionTable) -> str:
    """Brier, ECE and share in band of what the rules state in probabilities."""
    rows = []
    for line in table.lines:
        cells = [_rule(line)]
        for what in ("confidence", "medium_right", "large_right"):
            one = line.stated.get(what)
            cells += (
                ["", "", ""]
                if one is None
                else [plus_minus(one.brier, digits=4), f"{one.ece:.3f}", f"{one.in_band:.0%}"]
            )
        if line.stated:
            rows.append(tuple(cells))
    parts = ("P(policy right)", "P(medium right)", "P(large right)")
    columns = [f"{what}: {part}" for part in parts for what in ("Brier", "ECE", "in band")]
    return pipe_table(("rule", *columns), rows)


def curve_markdown(tables: Sequence[DecisionTable]) -> str:
    """Area and saving by the number of labels."""
    pooled = sorted((table for table in tables if table.name is None), key=lambda table: table.n_labelled)
    rows = [
        (
            f"{table.n_labelled:,.0f}",
            rule,
            plus_minus(table.line(rule).area),
            *(_percent(table.line(rule).promised[margin].saving) for margin in MARGINS),
        )
        for table in pooled
        for rule in _CURVE
    ]
    return pipe_table(("labels", "rule", "area", *(f"saving, {margin}" for margin in MARGINS)), rows)


def _row(line: RuleRow) -> tuple[str, ...]:
    # of the rule minus the head's: less is better for the head
    behind = "" if line.rule == JOINT else _marked(line.area_behind, lower=True)
    cells = [_rule(line), plus_minus(line.area), behind]
    for margin in MARGINS:
        one = line.promised[margin]
        quality = "–" if one.quality is None else f"{one.quality.times(100):+.2f}"
        cells += [_percent(one.saving), quality, f"{one.hindsight:.1%}", f"{one.broken:.0%}"]
    return tuple(cells)


def _marked(estimate: Estimate | None, lower: bool) -> str:
    """A difference in thousandths, and whether it is significantly better (▲) or worse (▼) than none."""
    verdict = "▲" if is_better(estimate, lower=lower) else "▼" if is_better(estimate, lower=not lower) else "="
    return f"{difference(estimate)} {verdict}"


def _percent(estimate: Estimate | None) -> str:
    return "–" if estimate is None else f"{estimate.value:.1%} ± {(estimate.high - estimate.low) / 2:.1%}"


def _heading(table: DecisionTable) -> str:
    where = "All sets and routers" if table.name is None else f"{safe(table.name)}, {table.router} router"
    costs = "" if table.name is None or not table.priced else ", recorded costs"
    return f"### {where}\n\n{table.n:,.0f} test queries, {table.n_labelled:,.0f} labels{costs}."


def _rule(line: RuleRow) -> str:
    return f"**{line.rule}**" if line.rule == JOINT else line.rule
