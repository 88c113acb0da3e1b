"""Vectors of features as lists of halves or as bytes: `make bench-vectors`.

A million rows of 640 halves, given in parts, are written in row groups of 65,536, and read into one torch tensor.
`product` is `write_parts` and `read_table` as they are; the rest write the vectors as lists or bytes, with compression
or none, `plain` without a dictionary of values, and neither hash nor verify. Each write and each read is a process of
its own, so its peak memory is its own; reads come from the page cache. Ratios are within this one run. Bars of the
product: a million rows written in 30 s, in torch within 5 s.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from routecal.storage.artifact import Artifact, read_table, write_parts
from routecal.storage.layout import Home
from routecal.storage.row_groups import regrouped
from tests.bench.bars import Bar, constant, report

WIDTH, PART, GROUP = 640, 4096, 1 << 16
LAYOUTS = ("product", "list zstd", "list none plain", "bytes zstd", "bytes none plain")
WRITE_S, READ_S = 30.0, 5.0


def parts(rows: int, layout: str) -> Iterator[pa.Table]:
    """The rows, as extraction gives them: normal numbers, drawn once and turned by one place for each part."""
    vectors = np.random.default_rng(0).normal(size=(PART, WIDTH)).astype(np.float16)
    for start in range(0, rows, PART):
        n = min(PART, rows - start)
        own = np.roll(vectors, start // PART + 1, axis=1)[:n]
        if layout.startswith("bytes"):
            hidden = pa.FixedSizeBinaryArray.from_buffers(pa.binary(2 * WIDTH), n, [None, pa.py_buffer(own)])
        else:
            hidden = pa.FixedSizeListArray.from_arrays(pa.array(own.ravel()), WIDTH)
        yield pa.table(
            {
                "query_id": [f"{i:032x}" for i in range(start, start + n)],
                "router_policy": ["Standard_Query"] * n,
                "logits": pa.array([[0.0, 1.0, 2.0, 3.0]] * n, pa.list_(pa.float32())),
                "hidden": hidden,
                "n_tokens": pa.array([20] * n, pa.int32()),
                "truncated": [False] * n,
            }
        )


def write(layout: str, folder: Path, rows: int) -> None:
    """Store the rows in `folder`, and for the product its sha256."""
    if layout == "product":
        artifact = write_parts(parts(rows, layout), "features", home=Home(root=str(folder)))
        (folder / "sha256").write_text(artifact.sha256)
        return
    writer = None
    for group in regrouped(parts(rows, layout), GROUP):
        writer = writer or pq.ParquetWriter(
            folder / "x.parquet",
            group.schema,
            compression=layout.split()[1],
            use_dictionary=not layout.endswith("plain"),
        )
        writer.write_table(group.combine_chunks(), row_group_size=GROUP)
    assert writer is not None
    writer.close()


def read(layout: str, folder: Path) -> torch.Tensor:
    """The vectors as one (n, 640) tensor of halves: each number is copied once, from Arrow's chunks into the tensor."""
    (file,) = folder.rglob("*.parquet")
    if layout == "product":
        artifact = Artifact(uri=str(file), sha256=(folder / "sha256").read_text(), rows=0, kind="features")
        column = read_table(artifact, columns=["hidden"])["hidden"]
    else:
        column = pq.read_table(file, columns=["hidden"])["hidden"]
    found = np.empty((len(column), WIDTH), np.float16)
    start = 0
    for chunk in column.chunks:
        if layout.startswith("bytes"):
            halves = np.frombuffer(chunk.buffers()[1], np.float16).reshape(-1, WIDTH)[chunk.offset :][: len(chunk)]
        else:
            halves = chunk.flatten().to_numpy(zero_copy_only=True).reshape(-1, WIDTH)
        found[start : start + len(chunk)] = halves
        start += len(chunk)
    return torch.from_numpy(found)


def measured(what: str, layout: str, folder: Path, rows: int) -> tuple[float, float]:
    """Seconds and peak GiB of a process that does one of the two."""
    command = [sys.executable, "-m", "tests.bench.vectors", "--do", what, layout, str(folder), "--rows", str(rows)]
    done = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return done["s"], done["gib"]


def one(what: str, layout: str, folder: Path, rows: int) -> None:
    """Do one thing and print what it took."""
    began = time.perf_counter()
    if what == "write":
        write(layout, folder, rows)
    else:
        assert len(read(layout, folder)) == rows
    took = time.perf_counter() - began
    print(json.dumps({"s": took, "gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))


def main() -> int:
    """Every layout in turn; 1 if the product misses a bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--do", nargs=3, metavar=("WHAT", "LAYOUT", "FOLDER"))
    args = parser.parse_args()
    if args.do:
        one(args.do[0], args.do[1], Path(args.do[2]), args.rows)
        return 0
    load = Path("/proc/loadavg").read_text().split()[0]
    print(f"{args.rows} rows x {WIDTH} halves; load {load} at the start\n")
    print("| layout | write s | peak GiB | file GB | into torch s | again s | peak GiB |")
    print("|---|---|---|---|---|---|---|")
    took: dict[str, tuple[float, float]] = {}
    sizes: dict[str, int] = {}
    for layout in LAYOUTS:
        with tempfile.TemporaryDirectory(prefix="routecal-bench-") as name:
            folder = Path(name)
            write_s, write_gib = measured("write", layout, folder, args.rows)
            sizes[layout] = sum(file.stat().st_size for file in folder.rglob("*.parquet"))
            (first_s, read_gib), (again_s, _) = (measured("read", layout, folder, args.rows) for _ in range(2))
            took[layout] = write_s, min(first_s, again_s)
            cells = (
                layout,
                f"{write_s:.1f}",
                f"{write_gib:.2f}",
                f"{sizes[layout] / 1e9:.3f}",
                f"{first_s:.2f}",
                f"{again_s:.2f}",
            )
            print("|", " | ".join((*cells, f"{read_gib:.2f}")), "|", flush=True)
    constant("bytes of a row of features", sizes["product"] / args.rows)
    base, (write_s, read_s) = took["list zstd"], took["product"]
    print("\nas many times as fast as list zstd, write and read:")
    for layout, (own_write_s, own_read_s) in took.items():
        print(f"  {layout}: {base[0] / own_write_s:.2f}, {base[1] / own_read_s:.2f}")
    millions = args.rows / 1e6
    return report(
        [
            Bar("a million vectors of 640 halves written, s", write_s / millions, WRITE_S, is_limit=True),
            Bar("a million vectors of 640 halves in one torch tensor, s", read_s / millions, READ_S, is_limit=True),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
