"""How large the queries are, and the kinds of call that a run makes: who is asked how often, what is read, written."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec
from routecal.tasks.oracle.planning.assumptions import Assumptions
from routecal.tasks.oracle.planning.forecast import Range


@dataclass(frozen=True)
class Sizes:
    """What there is to ask, each different text once, as the ledger pays for it once.

    Attributes:
        rows: of the table.
        usable: of these, with ground truth.
        queries: different queries.
        query_bytes: UTF-8 bytes of all of them.
        longest_bytes: of the longest.
        pairs: different pairs of query and ground truth.
        pair_bytes: of all of them, aliases included.
    """

    rows: int
    usable: int
    queries: int
    query_bytes: int
    longest_bytes: int
    pairs: int
    pair_bytes: int


def sizes(table: pa.Table) -> Sizes:
    """Counts and bytes of a table with the columns `query`, `ground_truth` and perhaps `aliases` (lists of texts).

    A row whose ground truth is null or blank is not usable, and in no other number.
    """
    truth = _text(table["ground_truth"])
    usable = pc.fill_null(pc.greater(pc.binary_length(pc.utf8_trim_whitespace(truth)), 0), False)
    texts = pa.table({"query": _text(table["query"]), "truth": truth, "aliases": _alias_bytes(table)})
    pairs = texts.filter(usable).group_by(["query", "truth"]).aggregate([("aliases", "max")])
    lengths = pc.binary_length(pc.unique(pairs["query"]))
    of_pairs = (pc.binary_length(pairs["query"]), pc.binary_length(pairs["truth"]), pairs["aliases_max"])
    return Sizes(
        rows=table.num_rows,
        usable=pc.sum(usable).as_py() or 0,
        queries=len(lengths),
        query_bytes=pc.sum(lengths).as_py() or 0,
        longest_bytes=pc.max(lengths).as_py() or 0,
        pairs=pairs.num_rows,
        pair_bytes=sum(pc.sum(column).as_py() or 0 for column in of_pairs),
    )


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column itself if it is text; a column of nothing but nulls has another type."""
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return column if is_text else column.cast(pa.string())


def _alias_bytes(table: pa.Table) -> pa.Array:
    """Bytes of all aliases of each row; 0 where there are none."""
    if "aliases" not in table.column_names:
        return pa.array(np.zeros(table.num_rows, dtype=np.int64))
    lists = table["aliases"].combine_chunks()
    lengths = pc.fill_null(pc.binary_length(pc.list_flatten(lists)), 0).to_numpy(zero_copy_only=False)
    rows = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    return pa.array(np.bincount(rows, weights=lengths, minlength=table.num_rows).astype(np.int64))


@dataclass(frozen=True)
class CallKind:
    """One kind of call, before it is priced. Functions take -1, 0 or 1: low, likely, high."""

    stage: str
    spec: ModelSpec
    calls: Range
    most_calls: float
    # per call
    bytes: float
    answers_read: float
    answer_limit: int
    visible: float
    thinking: float
    decides: bool = False


def kinds_of(
    texts: Sizes,
    medium: ModelSpec,
    large: ModelSpec,
    judge: JudgeSpec | None,
    paid: Mapping[str, int],
    assume: Assumptions,
) -> list[CallKind]:
    """The kinds of call, those that are paid left out."""
    query = texts.query_bytes / max(texts.queries, 1)
    pair = texts.pair_bytes / max(texts.pairs, 1)
    kinds: list[CallKind] = []
    for stage, spec in (("medium", medium), ("large", large)):
        n: float = max(0, texts.queries - paid.get(stage, 0))
        thinking = assume.thinking_tokens.get(spec.thinking_level, assume.thinking_tokens[None])
        size = query + assume.answer_bytes
        kinds.append(CallKind(stage, spec, Range(n, n, n), n, size, 0.0, 0, assume.visible_tokens, thinking))
    if judge is None:
        return kinds
    limit = max(medium.max_output_tokens, large.max_output_tokens)
    open_answers = 2 * texts.pairs * (1 - assume.exact_share)
    decides = judge.kind == "decision"
    # One decision grades both answers, and is needed unless both are exact.
    calls = texts.pairs * (1 - assume.exact_share**2) if decides else open_answers
    most = texts.pairs if decides else 2 * texts.pairs
    share = 1.0 if judge.always_second else assume.second_share if judge.below is not None else assume.failed_share
    # Verdicts in the ledger are those of first judges, as far as anybody can tell beforehand.
    left = 1 - min(1.0, paid.get("judge", 0) / max(calls, 1))
    for stage, seat, need, seat_decides in (
        ("first judge", judge.first, Range(1.0, 1.0, 1.0), decides),
        ("second judge", judge.second, _spread(share, assume, certain=judge.always_second), False),
        ("third judge", judge.third, _spread(share * assume.third_share, assume), False),
    ):
        if seat is None:
            continue
        thinking = assume.thinking_tokens.get(seat.thinking_level, assume.thinking_tokens[None])
        n = (calls if stage == "first judge" else open_answers) * left
        kinds.append(
            CallKind(
                stage,
                seat,
                Range(*(n * part for part in need)),
                (most if stage == "first judge" else 2 * texts.pairs) * left,
                pair + (assume.decision_bytes if seat_decides else assume.judge_bytes),
                2.0 if seat_decides else 1.0,
                limit,
                0.0 if seat_decides else assume.judge_visible_tokens,
                0.0 if seat_decides else thinking * assume.judge_thinking_share,
                seat_decides,
            )
        )
    return kinds


def _spread(share: float, assume: Assumptions, *, certain: bool = False) -> Range:
    return Range(share, share, share) if certain else Range.of(lambda way: min(1.0, share * assume.spread**way))
