"""Tables, bars and the page of decisions, on rules whose worth is known."""

from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from routecal.calib.comparison import Resampled, paired_counts
from routecal.calib.comparison.scores import MethodScore, SeedScore
from routecal.calib.escalation.outcomes import Outcomes
from routecal.calib.trial.decision_rows import Answer, Decided
from routecal.calib.trial.decision_scores import Sample, oracle, score_rule
from routecal.calib.trial.decisions import BOOSTING, CONFIDENCE, JOINT, MEDIUM_WRONG
from routecal.storage.schemas import SCHEMAS
from routecal.tasks.benchmark import decision_bars
from routecal.tasks.benchmark.cell_scores import Scored
from routecal.tasks.benchmark.decision_bars import Bar, bars
from routecal.tasks.benchmark.decision_pages import decisions_page
from routecal.tasks.benchmark.decision_results import ORACLE, DecisionsScored
from routecal.tasks.benchmark.decision_tables import (
    decision_differences,
    decision_scores,
    decision_tables,
    rule_standings,
)

N, PAIRS = 800, 4
NOISE = {JOINT: 0.1, BOOSTING: 0.6, MEDIUM_WRONG: 0.8, CONFIDENCE: 1.5}


@cache
def made(name: str = "set", kind: str = "regularised", *, spoilt: str = "", asked: int = 300) -> DecisionsScored:
    """Rules that know the gain but for their noise, two divisions of two seeds; a spoilt one says the opposite."""
    rng = np.random.default_rng(sum(map(ord, name + kind)) + asked)
    counts = list(paired_counts([(np.arange(N), 0)], n_replicates=200))
    samples: list[Sample] = []
    answers: dict[str, list[Answer]] = {rule: [] for rule in (*NOISE, ORACLE)}
    for _ in range(PAIRS):
        q = rng.random((2, N))
        medium, large = ((rng.random((2, N)) < level).astype(float) for level in (1 - q, 0.95))
        correct = (rng.random(N) < q[1]).astype(float)
        outcomes = Outcomes(medium[1], large[1], np.ones(N), np.full(N, 20.0))
        samples.append(Sample(medium[0] - large[0], outcomes, correct))
        answers[ORACLE].append(oracle(samples[-1]))
        for rule, noise in NOISE.items():
            sign = -1 if rule == spoilt else 1
            needs = sign * (q + rng.normal(0, noise, (2, N)))
            p = np.clip(q[1] + (0.4 if rule == spoilt else 0), 0, 1)
            both = (None, None) if rule in (CONFIDENCE, MEDIUM_WRONG) else (1 - q[1], np.full(N, 0.95))
            answers[rule].append(Answer(Decided(needs[0]), Decided(needs[1], *both, p)))
    rules = {rule: score_rule(said, samples, [counts] * PAIRS, divisions=2) for rule, said in answers.items()}
    return DecisionsScored(name, kind, asked, float(asked), N, 2, False, rules)


def page_of(scored: list[DecisionsScored]) -> str:
    return "\n".join(decisions_page(scored, decision_tables(scored), bars(scored)))


def held(scored: list[DecisionsScored]) -> dict[str, Bar]:
    return {bar.claim: bar for bar in bars(scored)}


def test_the_better_rule_ranks_first_and_the_bars_are_met(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(decision_bars.AIMS, "2 points", (0.15, 2))
    scored = [made("a"), made("b"), made("a", "overconfident")]
    ranks = rule_standings(scored)
    assert [one.method for one in ranks] == list(NOISE)
    found = held(scored)
    assert len(found) == 11
    assert {bar.met for bar in found.values()} == {True, None}
    (saved,) = (bar for claim, bar in found.items() if claim.startswith("Saving with at most 2 points"))
    assert saved.found.startswith("2 of 2: a ")


def test_a_spoilt_head_misses_its_bars_and_the_page_says_so() -> None:
    scored = [made("a", spoilt=JOINT), made("b", "overconfident", spoilt=JOINT)]
    found = held(scored)
    missed = {claim for claim, bar in found.items() if bar.met is False}
    for start in ("Area over random, joint outcome minus confidence", "Mean rank", "Brier of the derived confidence"):
        assert any(claim.startswith(start) for claim in missed), start
    assert "below on 2 of 2 (a; b)" in found["Area over random, joint outcome minus confidence"].found
    page = page_of(scored)
    assert page.count("**missed**") == len(missed)
    assert page.count("▼") >= 6


@pytest.mark.parametrize(("theirs", "met"), [(float(np.nextafter(0.7, 1)), True), (0.71, False)])
def test_as_many_cells_in_band_are_as_often(theirs: float, met: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_bars, "_in_band", lambda own, rule, what: 0.7 if rule == JOINT else theirs)
    found = held([made(kind="overconfident")])
    assert {bar.met for claim, bar in found.items() if "noise band" in claim} == {met}


def test_one_bad_set_is_enough_to_miss() -> None:
    found = held([made("a"), made("b"), made("c"), made("d", spoilt=JOINT)])
    area = found["Area over random, joint outcome minus confidence"]
    assert area.met is False
    assert "below on 1 of 4 (d)" in area.found


@pytest.mark.parametrize(("by", "met"), [(0.0, True), (-0.3, False)])
def test_the_baseline_of_the_confidence_is_compared_where_it_was_scored(by: float, met: bool) -> None:
    one = made("a", "overconfident")
    own = one.rules[JOINT].resampled["Brier, confidence"]
    better = Resampled(own.value + by, own.drawn + by, own.divisions)
    score = SeedScore(
        ece=0, noise_mean=0, noise_high=0, in_band=True, brier=0, log_loss=0, auroc=None, mean_p=0, std_p=0
    )
    base = MethodScore((score,) * PAIRS, {"brier": better})
    scored = Scored("a", "a", "overconfident", N, 300.0, 0.5, 2, {"boosting": base})
    (bar,) = (bar for bar in bars([one], [scored]) if "baseline boosting" in bar.claim)
    assert bar.met is met
    assert f"{0 - by:+.4f} [" in bar.found
    assert not [bar for bar in bars([one], []) if "baseline boosting" in bar.claim]


def test_a_line_has_means_over_pairs_and_paired_differences() -> None:
    one = made("a")
    (pooled, table) = decision_tables([one])
    assert (pooled.name, table.name) == (None, "a")
    line, score = table.line(CONFIDENCE), one.rules[CONFIDENCE]
    assert line.area is not None
    assert line.area.value == pytest.approx(np.mean([seed.area for seed in score.seeds]))
    assert line.area_behind.value == pytest.approx(line.area.value - table.line(JOINT).area.value)
    assert line.area_behind.high < 0
    promised = line.promised["2 points"]
    assert promised.saving.value == pytest.approx(np.mean([s.promised["2 points"].saving for s in score.seeds]))
    assert promised.hindsight >= promised.saving.value - 0.02
    assert set(line.stated) == {"confidence"}
    assert table.line(ORACLE).area.value == 1


def test_rows_of_the_tables_are_complete_and_of_their_schemas() -> None:
    one = made("a")
    scores = pa.Table.from_pylist(decision_scores([one]), schema=SCHEMAS["benchmark_scores"]).to_pylist()
    found = {(r["method"], r["metric"], r["division"], r["seed"]): r["value"] for r in scores}
    assert found[JOINT, "area", 1, 0] == pytest.approx(one.rules[JOINT].seeds[2].area)
    assert found[CONFIDENCE, "Brier, medium_right", None, None] is None
    differences = pa.Table.from_pylist(decision_differences([one]), schema=SCHEMAS["benchmark_differences"])
    metrics = len(one.rules[JOINT].resampled)
    assert differences.num_rows == 4 * len(one.rules) * metrics


def test_the_page_has_a_curve_where_there_are_several_numbers_of_labels() -> None:
    scored = [made("a"), made("a", asked=1000)]
    alone, both = (page_of(s) for s in (scored[:1], scored))
    assert "What a label buys" not in alone
    curve = both.partition("What a label buys")[2]
    assert curve.index("| 300 |") < curve.index("| 1,000 |")
    assert both.count("### a, regularised") == 1  # sets are shown at the first number


def test_a_set_named_by_a_hostile_file_is_text() -> None:
    hostile = made("<img src=x> | [x](javascript:alert(1))")
    page = page_of([hostile])
    assert "<img" not in page
    assert "](javascript" not in page
