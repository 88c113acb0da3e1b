"""Every query is answered once and every answer paid once, whoever asks for it, in whatever order."""

import asyncio
from collections import Counter

import pytest

from routecal.tasks.oracle.grading.answering import answer_call
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import serving
from tests.tasks.oracle.labelling import (
    JUDGE,
    LARGE,
    MEDIUM,
    RIGHT,
    Bill,
    asked,
    by_number,
    desk_at,
    oracle_of,
    paid_once,
    queries_of,
    recorded,
    run,
    served,
    shard,
    true_policies,
)

# ---- a run that meets no trouble


def test_every_query_is_labelled_and_every_call_paid_once() -> None:
    queries, bill = asked(40), Bill(by_number())
    with serving(respond=bill) as server:
        first = run(server, queries)
        assert [row["query_id"] for row in first.rows] == queries["query_id"].to_pylist()
        assert [row["true_policy"] for row in first.rows] == true_policies(40)
        paid_once(server, bill.calls)
        assert (first.tally.calls, first.tally.reused, first.tally.done) == (bill.calls, 0, 40)
        assert first.tally.stages == {"medium": 40, "large": 40, "judge": bill.calls - 80}
        assert first.tally.usd == pytest.approx(bill.usd, rel=1e-9)

        again = run(server, queries, run="2")
        assert again.rows == first.rows
        assert (again.tally.calls, again.tally.reused, again.tally.usd) == (0, bill.calls, 0.0)
        assert server.requests() == bill.calls


def test_costs_in_the_labels_are_what_the_ledger_says_was_paid() -> None:
    bill = Bill(by_number(), thoughts=50)
    thinking = Script(thoughts=50)
    with serving({MEDIUM: thinking, LARGE: thinking, JUDGE: thinking}, respond=bill) as server:
        # Every sixth query has equal answers, whose judge is asked and paid once.
        rows = run(server, asked(18)).rows
    paid = Counter[str]()
    for call in recorded():
        paid[call["stage"]] += call["usd"]
    for stage in ("medium", "large", "judge"):
        assert sum(row[f"{stage}_cost_usd"] for row in rows) == pytest.approx(paid[stage], rel=1e-9)
    assert paid.total() == pytest.approx(bill.usd, rel=1e-9)
    assert sum(row["judge_tokens_out"] for row in rows) == sum(
        c["tokens_output"] + c["tokens_thinking"] for c in recorded() if c["stage"] == "judge"
    )


def test_labels_do_not_depend_on_order_or_latency(monkeypatch: pytest.MonkeyPatch, tmp_path_factory) -> None:
    queries, found = asked(20), []
    for seed, concurrency in ((1, 3), (2, 24)):
        monkeypatch.setenv("ROUTECAL_HOME", str(tmp_path_factory.mktemp("home")))
        late = Script(latency_s=0.01, latency_sd_s=0.01, seed=seed, fail_frac=0.2, fails=("503", "504"))
        with serving({MEDIUM: late, LARGE: late, JUDGE: late}, respond=by_number()) as server:
            found.append(run(server, queries, concurrency=concurrency).rows)
    assert found[0] == found[1]


def test_equal_queries_are_asked_once() -> None:
    with serving(respond=by_number()) as server:
        rows = run(server, queries_of(["Which lake is number 7?"] * 12 + ["Which lake is number 9?"])).rows
        assert served(server)[MEDIUM] == served(server)[LARGE] == 2
        paid_once(server, server.requests())
    assert len(rows) == 13
    assert len({row["true_policy"] for row in rows[:12]}) == 1


def test_two_shards_at_one_desk_share_what_they_ask() -> None:
    queries = asked(20)
    with serving({MEDIUM: Script(latency_s=0.02)}, respond=by_number()) as server, desk_at(server, 40) as runner:
        # Both are in flight at once, from two threads, as Prefect runs them.
        async def both() -> list:
            return await asyncio.gather(*(asyncio.to_thread(shard, runner, queries, oracle_of()) for _ in range(2)))

        one, other = asyncio.run(both())
        assert one.rows == other.rows
        paid_once(server, server.requests())
        assert (runner.job.tally.done, served(server)[MEDIUM]) == (40, 20)


def test_another_judge_grades_again_and_answers_nothing_again() -> None:
    queries = asked(15)
    with serving(respond=by_number()) as server:
        first = run(server, queries)
        before = dict(served(server))
        again = run(server, queries, oracle=oracle_of(judge="gemini-4-neon"), job="other")
        assert [row["true_policy"] for row in again.rows] == [row["true_policy"] for row in first.rows]
        assert {row["judge"] for row in again.rows} == {"gemini-4-neon"}
        after = served(server)
    assert (after[MEDIUM], after[LARGE], after[JUDGE]) == (before[MEDIUM], before[LARGE], before[JUDGE])
    assert after["gemini-4-neon"] == before[JUDGE]
    assert again.tally.stages == {"judge": before[JUDGE]}


# ---- one call


def test_a_caller_that_gives_up_leaves_the_purchase_to_end() -> None:
    call = answer_call("Which lake is number 6?", spec=oracle_of().medium, provider="gemini", role="medium")
    script = {MEDIUM: Script(latency_s=0.2)}
    with serving(script, respond=by_number()) as server, desk_at(server, 1) as runner:

        async def impatient() -> str | None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(runner.engine.ask(runner.job, call), 0.05)
            return (await runner.engine.ask(runner.job, call)).text

        assert runner.run(impatient()) == RIGHT
        paid_once(server, 1)


def test_one_slow_model_does_not_keep_the_others_from_their_first_call() -> None:
    # The very first call goes alone, for the key's sake; it is the large model's turn while the medium one's is late.
    calls = [
        answer_call("Which lake is number 6?", spec=spec, provider="gemini", role="medium")
        for spec in (oracle_of().judge.first, oracle_of().medium, oracle_of().large)
    ]
    with serving({MEDIUM: Script(latency_s=0.5)}, respond=by_number()) as server, desk_at(server, 1) as runner:

        async def both() -> bool:
            await runner.engine.ask(runner.job, calls[0])
            medium = asyncio.ensure_future(runner.engine.ask(runner.job, calls[1]))
            await asyncio.sleep(0)
            await runner.engine.ask(runner.job, calls[2])
            overtaken = not medium.done()
            await medium
            return overtaken

        assert runner.run(both())
