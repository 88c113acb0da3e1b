"""`make bench ARGS=import`: two logs of 500,000 samples each become outcomes, in time and memory.

    python -m tests.bench.import_logs [SAMPLES]

Lines are as lm-evaluation-harness writes them, of 1.2 kB. The command runs as users run it, in a process of its own.
"""

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.bars import Bar, report
from tests.bench.memory_import import write_queries

SAMPLES = 1_000_000
LIMIT_S, LIMIT_MIB = 60.0, 1024.0


def write_log(path: Path, questions: Path, share_right: float) -> Path:
    """A line for every question, in the same order, graded by `exact_match`."""
    rng = random.Random(path.name)
    with path.open("w", encoding="utf-8") as file, questions.open(encoding="utf-8") as rows:
        for i, row in enumerate(rows):
            doc = json.loads(row)
            answer = f"It is {doc['ground_truth']}. " * 4
            line = {
                "doc_id": i,
                "doc": {"question": f"{doc['query']} ({i})", "answer": doc["ground_truth"]},
                "target": doc["ground_truth"],
                "arguments": {"gen_args_0": {"arg_0": f"Q: {doc['query']} ({i})\nA:" * 3, "arg_1": {"until": ["\n"]}}},
                "resps": [[answer]],
                "filtered_resps": [answer],
                "filter": "none",
                "metrics": ["exact_match"],
                "doc_hash": f"{rng.getrandbits(256):064x}",
                "prompt_hash": f"{rng.getrandbits(256):064x}",
                "target_hash": f"{rng.getrandbits(256):064x}",
                "exact_match": float(rng.random() < share_right),
            }
            file.write(json.dumps(line) + "\n")
    return path


def main() -> int:
    """Print what it took and the bars; 1 where one is missed."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES
    with tempfile.TemporaryDirectory(prefix="routecal-bench-") as name:
        folder = Path(name)
        questions = write_queries(folder / "questions.jsonl", n // 2)
        logs = [
            write_log(folder / f"{model}.jsonl", questions, share) for model, share in (("medium", 0.6), ("large", 0.8))
        ]
        mib = sum(log.stat().st_size for log in logs) / 2**20
        models = ["--medium-model", "medium", "--large-model", "large"]
        command = [sys.executable, "-m", "routecal", "import", "--from", "lm-eval", *models]
        began = time.perf_counter()
        done = subprocess.run(
            [
                *command,
                "--medium",
                str(logs[0]),
                "--large",
                str(logs[1]),
                "--output",
                str(folder / "o.parquet"),
                "--json",
            ],
            stdout=subprocess.PIPE,
            check=True,
        )
        seconds = time.perf_counter() - began
    rows = json.loads(done.stdout)["n"]
    if rows != n // 2:
        print(f"MISS: {rows} questions of {n // 2}")
        return 1
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"     {n:,} samples, {mib:.0f} MiB: {seconds:.1f} s, {peak:.0f} MiB at most")
    return report(
        [
            Bar(f"{n:,} samples in two logs become outcomes, s", seconds, LIMIT_S, is_limit=True),
            Bar(f"{n:,} samples in two logs become outcomes, MiB", peak, LIMIT_MIB, is_limit=True),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
