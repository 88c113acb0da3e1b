"""From scores to tables, ranks and bars: on made predictions whose truth is known."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from routecal.calib.comparison import paired_counts
from routecal.calib.comparison.scores import score_methods
from routecal.calib.trial.methods import AS_WRITTEN, DEFAULT
from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.layout import Home
from routecal.storage.schemas import SCHEMAS
from routecal.tasks.benchmark.cell_scores import Scored, read_scored, score_cells
from routecal.tasks.benchmark.markdown_tables import benchmark_page
from routecal.tasks.benchmark.results import differences, pairs_of, scores, set_table, standings, write_benchmark
from tests.bench.acceptance import Bar, bars

N, SEEDS = 600, 3
METHODS = ("max_prob", "temperature", "probe", AS_WRITTEN, DEFAULT)


def made(name: str = "set", kind: str = "overconfident", *, spoilt: str = DEFAULT, by: float = 0.0) -> Scored:
    """Every method but the raw router and METHOD.md's knows the truth but for its seed; one may be spoilt."""
    rng = np.random.default_rng(sum(map(ord, name + kind)))
    q = rng.beta(4, 2, N)
    y = (rng.random(N) < q).astype(float)
    counts = list(paired_counts([(np.arange(N), 0)], n_replicates=300))
    found = {}
    for method in METHODS:
        p = [np.clip(q + rng.normal(0, 0.02, N) + (by if method == spoilt else 0), 0, 1) for _ in range(SEEDS)]
        if method in ("max_prob", AS_WRITTEN):
            p = [np.clip(one + 0.3, 0, 1) for one in p]
        found[method] = score_methods(p, y, counts)
    return Scored(name, name, kind, N, 100.0, float(y.mean()), 1, found)


def held(scored: list[Scored], shifted: list[Scored] | None = None) -> dict[str, Bar]:
    tables, others = [set_table(one) for one in scored], [set_table(one) for one in shifted or []]
    return {bar.claim.split(",")[0]: bar for bar in bars(tables, standings(scored), others)}


def test_a_calibrated_head_meets_its_bars() -> None:
    found = held([made("a"), made("b"), made("a", "regularised")])
    assert {bar.met for bar in found.values()} == {True, None}
    assert found["ECE inside its noise band (97.5% of calibrated models)"].found.endswith("%")
    assert found["Brier significantly worse than a baseline's"].found.startswith("0 of 9 comparisons; 0 of single")
    assert found["Brier significantly better than temperature scaling's"].found == "0 of 3 (set, router)"


def test_a_spoilt_head_meets_none_of_them_and_the_page_says_where() -> None:
    scored = [made("a", by=-0.25), made("b", by=-0.25)]
    found = held(scored)
    for claim in (
        "ECE inside its noise band (97.5% of calibrated models)",
        "Raw ECE over the head's",
        "Mean Brier rank over sets and routers",
    ):
        assert found[claim].met is False, claim
    worse = found["Brier significantly worse than a baseline's"]
    assert worse.met is False
    assert "temperature on a, overconfident" in worse.found
    tables = [set_table(one) for one in scored]
    page = benchmark_page(tables, standings(scored), [], "Made")
    assert page.count("▼") >= 4


def test_auroc_below_the_probes_is_told_apart_from_brier() -> None:
    one = made("a")
    shuffled = np.random.default_rng(0).permutation(N)
    y = (np.arange(N) % 3 > 0).astype(float)
    counts = list(paired_counts([(np.arange(N), 0)], n_replicates=300))
    ranked = score_methods([np.where(y == 1, 0.7, 0.6)] * SEEDS, y, counts)
    blind = score_methods([np.full(N, y.mean()) + 1e-6 * shuffled] * SEEDS, y, counts)
    bad = one._replace(methods=dict.fromkeys(METHODS, ranked) | {DEFAULT: blind})
    assert held([bad])["AUROC significantly below the logistic probe's"].met is False


def test_as_written_and_shift_are_reported_not_held_to() -> None:
    found = held([made("a")], [made("a", by=0.5)])
    assert found["Mean ECE of METHOD.md as written"].met is None
    shift = found["ECE on another set no worse than the raw router's"]
    assert shift.met is None
    assert shift.found.startswith("0 of 1 pairs")


def test_a_line_has_the_means_over_seeds_and_the_paired_difference() -> None:
    one = made("a", spoilt="probe", by=0.1)
    line, own = set_table(one).line("probe"), one.methods["probe"]
    assert line.brier.value == pytest.approx(np.mean([s.brier for s in own.seeds]))
    assert line.ece == pytest.approx(np.mean([s.ece for s in own.seeds]))
    assert line.in_band == np.mean([s.in_band for s in own.seeds])
    default = set_table(one).line(DEFAULT)
    assert line.brier_behind.value == pytest.approx(line.brier.value - default.brier.value)
    assert line.brier_behind.low > 0
    assert default.brier_behind.value == default.brier_behind.high == 0


def test_rows_of_the_tables_are_complete_and_of_their_schemas() -> None:
    one = made("a")
    table = pa.Table.from_pylist(scores([one]), schema=SCHEMAS["benchmark_scores"])
    found = {(r["method"], r["metric"], r["seed"]): r["value"] for r in table.to_pylist()}
    assert found["probe", "brier", 1] == one.methods["probe"].seeds[1].brier
    assert found["probe", "brier", None] == pytest.approx(np.mean([s.brier for s in one.methods["probe"].seeds]))
    rows = pa.Table.from_pylist(
        differences([one], references=["probe"]), schema=SCHEMAS["benchmark_differences"]
    ).to_pylist()
    assert len(rows) == len(METHODS) * 3 * (1 + SEEDS)
    alone = next(r for r in rows if (r["method"], r["metric"], r["seed"]) == (DEFAULT, "brier", 2))
    seeds = [one.methods[m].seeds[2].brier for m in (DEFAULT, "probe")]
    assert alone["value"] == pytest.approx(seeds[0] - seeds[1])
    assert alone["low"] < alone["value"] < alone["high"]


def store_cell(p: np.ndarray, ids: list[str], y: np.ndarray, *, seed: int, division: int = 0) -> Artifact:
    n = len(ids)
    columns = {"query_id": ids, "target": ["a"] * n, "method": ["head"] * n, "p": p, "is_correct": y.astype(bool)}
    which = {"division": str(division), "seed": str(seed), "labels": "100", "group": "head"}
    facts = {"set": "a", "router": "regularised", **which}
    table = pa.table(columns, schema=SCHEMAS["benchmark_cell"])
    return write_table(table, "benchmark_cell", home=Home.from_env(), metadata=facts)


def store_rows(ids: list[str], *, tested: Sequence[str] | None = None) -> Artifact:
    schema = SCHEMAS["benchmark_rows"]
    known = {"part": ["test" if tested is None or one in tested else "router" for one in ids]}
    columns = [known.get(f.name, [None] * len(ids) if f.nullable else ids) for f in schema]
    table = pa.table(columns, schema=schema)
    return write_table(table, "benchmark_rows", home=Home.from_env())


def test_scoring_puts_rows_and_seeds_in_order_and_survives_storage() -> None:
    rng = np.random.default_rng(0)
    ids = [f"q{i:03}" for i in range(80)]
    y, p = (rng.random(80) < 0.6).astype(float), rng.random((3, 80))
    order = rng.permutation(80)
    cells = [store_cell(p[s][order], [ids[i] for i in order], y[order], seed=s) for s in (2, 0, 1)]
    arguments = ("a", "a", "regularised", cells, "a", [[store_rows(ids)]])
    stored = score_cells.fn(*arguments)
    assert stored == score_cells.fn(*arguments)
    found = read_scored(stored)
    assert (found.n, found.n_labelled, found.accuracy) == (80, 100, pytest.approx(y.mean()))
    briers = [one.brier for one in found.methods["head"].seeds]
    assert briers == pytest.approx(((p - y) ** 2).mean(axis=1))
    assert found.methods["head"].resampled["brier"].value == pytest.approx(briers)


def test_divisions_are_scored_on_their_own_rows_and_keep_their_order() -> None:
    rng = np.random.default_rng(0)
    ids = [f"q{i:03}" for i in range(120)]
    tested = [ids[:60], ids[30:90]]
    y, p = (rng.random(120) < 0.6).astype(float), rng.random((2, 2, 60))
    right = [y[:60], y[30:90]]
    cells = [store_cell(p[d, s], tested[d], right[d], seed=s, division=d) for d, s in ((1, 1), (0, 1), (1, 0), (0, 0))]
    rows = [store_rows(ids, tested=tested[d]) for d in range(2)]
    found = read_scored(score_cells.fn("a", "a", "regularised", cells, "a", [rows])).methods["head"]
    briers = [((p[d, s] - right[d]) ** 2).mean() for d in range(2) for s in range(2)]
    assert [one.brier for one in found.seeds] == pytest.approx(briers)
    assert found.resampled["brier"].value == pytest.approx(briers)
    assert found.resampled["brier"].divisions == 2
    assert pairs_of(found.resampled["brier"])[2] == {"division": 1, "seed": 0}


def test_a_report_has_the_page_the_numbers_and_the_tables(tmp_path: Path) -> None:
    ids = ["x", "y"]
    cell = store_cell(np.array([0.25, 0.5]), ids, np.array([1.0, 0.0]), seed=4)
    one = made("a")
    tables = [set_table(one)]
    made_of = {"ranks": [rank._asdict() for rank in standings([one])], "tables": tables}
    found = write_benchmark(
        "benchmark-1", "# page", made_of, [one], {("a", "r", 0): [cell]}, references=[DEFAULT], files={"x.tex": b"x"}
    )
    assert {f.name for f in Path(found.report).iterdir()} == {"page.md", "numbers.json", "x.tex"}
    (first, second) = read_table(found.artifacts["predictions"]).to_pylist()
    assert (first["set"], first["router"], first["seed"], first["p"]) == ("a", "regularised", 4, 0.25)
    assert (second["query_id"], second["is_correct"]) == ("y", False)
    assert '"mean_rank"' in (Path(found.report) / "numbers.json").read_text()
