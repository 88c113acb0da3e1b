"""Labelling by batch jobs, when all goes well and when lines, jobs or files of them do not come."""

from tests.gemini_server.server import serving
from tests.tasks.oracle.labelling import asked, by_number, run

BATCH = {"backend": "batch", "poll_s": 0.01}


def test_both_waves_go_by_batch_jobs_and_nothing_goes_online() -> None:
    with serving(respond=by_number()) as server:
        made = run(server, asked(12), **BATCH)
        assert made.error is None
        assert server.stats()["billed"] == made.tally.prefetched == 42
    assert len(made.rows) == 12
