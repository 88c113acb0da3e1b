"""Queries, and models behind an API that know some of the answers, for the tests of the commands about labels."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from routecal.storage.artifact import Artifact, read_table
from tests.gemini_server.answers import Answers
from tests.gemini_server.server import GeminiServer
from tests.gemini_server.wire import Request
from tests.tasks.made import write_jsonl

MEDIUM, LARGE, OTHER = "gemini-3.8-flash", "gemini-4-argon", "gemini-4-hydrogen"
KEY = "AIzaSy-of-no-account-at-all-0123456789-x"

# How many queries are asked where nothing else is said.
N = 20

# Of ten queries in a row; sentences, so that a judge is asked about all but the silence.
MEDIUM_KNOWS = {0, 1, 2, 3, 4}
LARGE_KNOWS = {0, 1, 2, 5, 6, 7}
LARGE_IS_SILENT = {9}


def question(i: int) -> str:
    return f"Which word belongs to number {i}?"


def file_of(path: Path, n: int, *, without_truth: Collection[int] = ()) -> str:
    """n queries as JSONL; some have no ground truth."""
    rows = [
        {"id": f"row {i}", "query": question(i)} | ({} if i in without_truth else {"ground_truth": f"word{i}"})
        for i in range(n)
    ]
    return write_jsonl(path, rows)


def known(n: int) -> Answers:
    """What both models say."""

    def said(i: int, knows: set[int]) -> str:
        if knows is LARGE_KNOWS and i % 10 in LARGE_IS_SILENT:
            return "I don't know"
        return f"I believe that it is word{i}." if i % 10 in knows else "I am sure that it is another one."

    return Answers({question(i): {MEDIUM: said(i, MEDIUM_KNOWS), LARGE: said(i, LARGE_KNOWS)} for i in range(n)})


def label_argv(file: str, server: GeminiServer, *more: str) -> list[str]:
    return ["label", "--queries", file, "--oracle", "gemini", "--base-url", server.url, *more]


def rows_of(labels: Artifact) -> list[dict[str, Any]]:
    """Without the time they were made at."""
    return read_table(labels).drop_columns(["labelled_at"]).to_pylist()


def is_judging(request: Request) -> bool:
    """Whether a request asks for a grade."""
    return request.schema is not None


def cells(out: str) -> list[list[str]]:
    """The rows of all tables that were printed."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]
