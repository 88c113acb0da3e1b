"""Real processes: two that want the same calls, and one that is killed."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from routecal.storage.ledger import Ledger
from tests.storage.ledger.ledgers import finish, start

ROOT = Path(__file__).parents[3]
PREAMBLE = """
import sys
from routecal.storage.ledger import Ledger
from tests.storage.ledger.ledgers import finish, start
who, n = sys.argv[1], int(sys.argv[2])
"""
ASK = """
with Ledger.open() as ledger:
    print("open", flush=True)
    sys.stdin.readline()
    for i in range(0, n, 5):
        open = [f"{k:05d}" for k in range(i, i + 5)]
        while open:
            claims = ledger.write(starts=[start(k) for k in open])
            ours = [k for k in open if claims[k].state == "ours"]
            print(*ours, flush=True)
            ledger.write(ends=[finish(k, f"{k} by {who}") for k in ours])
            open = [k for k in open if claims[k].state == "busy"]
"""
LABEL = """
ledger = Ledger.open()
for i in range(n):
    ledger.write(starts=[start(f"{i:05d}-{j}") for j in range(4)])
    print("sent", *[f"{i:05d}-{j}" for j in range(4)], flush=True)
    ledger.write(ends=[finish(f"{i:05d}-{j}") for j in range(3)])
    print("done", *[f"{i:05d}-{j}" for j in range(3)], flush=True)
    ledger.write(releases=[f"{i:05d}-3"])
    print("left", f"{i:05d}-3", flush=True)
"""


def process(code, *arguments, url):
    return subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + code, *map(str, arguments)],
        cwd=ROOT, env=os.environ | {"ROUTECAL_LEDGER_URL": url}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def test_two_processes_never_ask_the_same_call(ledger_url):
    n = 300
    both = [process(ASK, who, n, url=ledger_url) for who in ("one", "two")]
    for each in both:
        assert each.stdout.readline() == "open\n"
    for each in both:
        each.stdin.write("\n")
        each.stdin.flush()
    said = [each.communicate(timeout=60)[0].split() for each in both]
    assert [each.returncode for each in both] == [0, 0]
    sent = Counter(said[0] + said[1])
    keys = [f"{k:05d}" for k in range(n)]
    assert sent == Counter(keys)
    by = dict.fromkeys(said[0], "one") | dict.fromkeys(said[1], "two")
    with Ledger.open(ledger_url) as ledger:
        assert {k: b.response for k, b in ledger.find(keys).items()} == {k: f"{k} by {by[k]}" for k in keys}
        assert (ledger.lost("j"), ledger.spent("j").attempts) == (0, 0)


def test_kill_leaves_everything_that_was_acknowledged(ledger_url):
    victim = process(LABEL, "victim", 100_000, url=ledger_url)
    said = [victim.stdout.readline() for _ in range(100)]
    with Ledger.open(ledger_url) as other:
        # As long as it lives, what it sent is its own.
        assert other.abandoned() == 0
        victim.send_signal(signal.SIGKILL)
        said += victim.communicate()[0].splitlines(keepends=True)
        lines = [line.split() for line in said if line.endswith("\n")]
        sent, done, left = ({k for verb, *keys in lines if verb == v for k in keys} for v in ("sent", "done", "left"))
        # one round may have got further than it could tell
        unknown = {f"{len(sent) // 4:05d}-{j}" for j in range(4)} | (sent - done - left)
        found = set(other.find(sorted(sent | unknown)))
        assert done <= found <= done | unknown
        in_flight = other.abandoned()
        assert in_flight <= 4
        claims = other.write(starts=[start(k) for k in sorted(sent | unknown)])
        assert {k for k, claim in claims.items() if claim.state == "ended"} == found
        assert not [k for k, claim in claims.items() if claim.state == "busy"]
        assert {k for k, claim in claims.items() if claim.taken_over} <= unknown
        assert sum(claim.taken_over for claim in claims.values()) == other.lost("j") == in_flight
        assert other.spent("j").maybe_usd == 0.5 * in_flight
        other.write(ends=[finish(k) for k in claims])
        assert other.spent("j").calls == len(claims)
