"""Which queries should a night label: drawn at random, or some of them near the threshold?

A second night labels as many queries as the first did. `uniform` draws all of them at random, `unsure` half of them
with probabilities that rise towards the first night's threshold. Both learn from both nights; test rows are the same.
The outcome head reads words (64 components of TF-IDF), so that 10 seeds of six sets take minutes:

    python -m tests.bench.label_draws OUTCOMES_FOLDER
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.stats import t
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from routecal.calib.outcome.estimator import OutcomeEstimator

LABELS, SEEDS, PRICE, AT_MOST = 300, 10, 0.15, 6_000
COLUMNS = ["query", "medium_label", "large_label"]


def words(texts: list[str]) -> NDArray[np.float64]:
    """(n, 64)"""
    counted = TfidfVectorizer(min_df=2, sublinear_tf=True).fit_transform(texts)
    return np.asarray(TruncatedSVD(64, random_state=0).fit_transform(counted))


def scores(estimator: OutcomeEstimator, x: NDArray[np.float64], medium: NDArray, large: NDArray) -> dict[str, float]:
    """On test rows."""
    p = estimator.predict_proba(x)
    gain = estimator.gain(x)
    p_medium = p[:, 0] + p[:, 1]
    served = np.where(gain > PRICE, large - PRICE, medium)
    return {"Brier of P(medium right)": float(((p_medium - medium) ** 2).mean()), "utility": float(served.mean())}


def main(folder: Path) -> None:
    """Paired differences, unsure - uniform, with 95% intervals over seeds."""
    for path in sorted(folder.glob("*.parquet")):
        table = pq.read_table(path, columns=COLUMNS)
        medium, large = (np.array([g == "CORRECT" for g in table[c].to_pylist()], float) for c in COLUMNS[1:])
        rows = np.random.default_rng(0).permutation(len(medium))[:AT_MOST]
        x, medium, large = words([table["query"][int(i)].as_py() for i in rows]), medium[rows], large[rows]
        differences: dict[str, list[float]] = {}
        for seed in range(SEEDS):
            rng = np.random.default_rng(seed)
            order = rng.permutation(len(x))
            test, first, pool = np.split(order, [len(x) // 3, len(x) // 3 + LABELS])
            before = OutcomeEstimator(random_state=seed).fit(x[first], medium[first], large[first])
            distance = np.abs(before.gain(x[pool]) - PRICE)
            near = 1 / (0.05 + distance.argsort().argsort() / len(pool))
            at_random = rng.permutation(len(pool))
            half = at_random[: LABELS // 2]
            left = np.setdiff1d(np.arange(len(pool)), half)
            unsure = rng.choice(left, LABELS - len(half), replace=False, p=near[left] / near[left].sum())
            found = []
            for drawn in (at_random[:LABELS], np.concatenate([half, unsure])):
                taught = np.concatenate([first, pool[drawn]])
                fitted = OutcomeEstimator(random_state=seed).fit(x[taught], medium[taught], large[taught])
                found.append(scores(fitted, x[test], medium[test], large[test]))
            for name, value in found[1].items():
                differences.setdefault(name, []).append(value - found[0][name])
        for name, values in differences.items():
            half_width = t.ppf(0.975, SEEDS - 1) * np.std(values, ddof=1) / SEEDS**0.5
            low, high = np.mean(values) - half_width, np.mean(values) + half_width
            print(f"{path.stem:24} {name:26} {np.mean(values):+.4f} [{low:+.4f}, {high:+.4f}]", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
