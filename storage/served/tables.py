"""Rows that serving leaves: decisions, answers, and what came back about them. Joined by `decision_id`."""

import pyarrow as pa

_AT = pa.timestamp("us", tz="UTC")

# One decision each; written before the client hears of it.
DECISIONS = pa.schema(
    {
        "decision_id": pa.string(),
        "at": _AT,
        "surface": pa.string(),  # which endpoint asked
        "client": pa.string(),  # name of the key; null where none is needed
        "query_id": pa.string(),  # digest of the text, as that of a labelled query
        "query": pa.string(),  # null where only digests are kept
        "policy": pa.string(),
        "confidence": pa.float64(),
        "medium_right": pa.float64(),
        "large_right": pa.float64(),
        "gain": pa.float64(),
        "decides_by": pa.string(),  # confidence, gain; medium_enough where the request named a threshold
        "threshold": pa.float64(),
        "escalate": pa.bool_(),  # what the head that decided asks for
        "served": pa.string(),  # medium or large
        "propensity": pa.float64(),  # probability of `served`, under all that decides
        "status": pa.string(),  # ok, fallback, shadow, unlike, asked
        "override": pa.string(),  # why no head had a say; null where one had
        "explored": pa.bool_(),
        "by_canary": pa.bool_(),
        "trial_escalates": pa.bool_(),  # what the head on trial asks for; null where none is tried
        "head": pa.string(),
        "router": pa.string(),
        "asked_model": pa.string(),  # what the client named
        "truncated": pa.bool_(),
        "decided_s": pa.float64(),
        "unlikeness": pa.float64(),
    }
)

# One relayed answer each; written when it has ended, however that was.
ANSWERS = pa.schema(
    {
        "decision_id": pa.string(),
        "at": _AT,
        "model": pa.string(),  # asked for upstream
        "served": pa.string(),  # medium or large, as in its decision
        "decision_status": pa.string(),  # the decision's own: costs are told apart without a join
        "answered_by": pa.string(),  # what the answer itself says; null where it does not
        "status": pa.int64(),
        "outcome": pa.string(),  # ok, cancelled, failed
        "reason": pa.string(),
        "seconds": pa.float64(),
        "tokens_input": pa.int64(),
        "tokens_output": pa.int64(),
        "cost_usd": pa.float64(),  # null where a price or a count is unknown
    }
)

# One answer each of the model that did not serve, which no client saw.
SECOND_ANSWERS = pa.schema(
    {
        "decision_id": pa.string(),
        "at": _AT,
        "model": pa.string(),  # medium or large: which one it is
        "propensity": pa.float64(),  # probability that it was asked; less were asked where many were at once
        "asked_model": pa.string(),
        "answered_by": pa.string(),
        "status": pa.int64(),
        "outcome": pa.string(),  # ok, failed
        "reason": pa.string(),
        "seconds": pa.float64(),
        "tokens_input": pa.int64(),
        "tokens_output": pa.int64(),
        "cost_usd": pa.float64(),
        "answer": pa.string(),  # null where only digests are kept
    }
)

# What somebody says of one decision. The same word again is the same row.
FEEDBACK = pa.schema(
    {
        "feedback_id": pa.string(),
        "decision_id": pa.string(),
        "at": _AT,
        "source": pa.string(),  # name of the key that sent it
        "about": pa.string(),  # served, medium, large: whose answer
        "correct": pa.bool_(),
        "score": pa.float64(),  # in [0, 1]
        "label": pa.string(),  # CORRECT, INCORRECT, NOT_ATTEMPTED
        "outcome": pa.string(),  # what became of it later, in words of the sender
        "reason": pa.string(),
    }
)

# By the folder of each kind in a log.
TABLES = {"decisions": DECISIONS, "answers": ANSWERS, "second_answers": SECOND_ANSWERS, "feedback": FEEDBACK}
