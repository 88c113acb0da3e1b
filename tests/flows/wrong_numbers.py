"""Options that are numbers, and what is said of a value outside what they allow."""

from tests.flows.wrong_commands import GEMINI, NIGHT

# (command line without the value, option, what is allowed, a value outside): each is tried with NaN and infinity too.
NUMBERS = [
    (GEMINI, "max-usd", "a number of at least 0", "-1"),
    (GEMINI, "rpm", "a number above 0", "0"),
    (GEMINI, "usd-per-10min", "a number above 0", "0"),
    (GEMINI, "deadline-s", "a number above 0", "-3"),
    (GEMINI, "batch-deadline-h", "a number above 0", "0"),
    (GEMINI, "judge-below", "a number from 0 to 1", "1.01"),
    ("train", "reward-alpha", "a number above 0 and of at most 100", "0"),
    ("train", "reward-beta", "a number above 0 and of at most 100", "101"),
    ("train", "cost-ratio", "a number above 0 and of at most 1000", "0"),
    ("evaluate", "medium-price", "a number of at least 0", "-0.1"),
    ("evaluate", "large-price", "a number above 0", "0"),
    ("evaluate", "at-most", "a number above 0 and below 1", "1"),
    ("evaluate", "with", "a number of at least 0.5 and below 1", "1"),
    ("evaluate", "budget", "a number above 0", "0"),
    ("evaluate", "call-rate", "a number from 0 to 1", "1.01"),
    ("evaluate", "answer-value", "a number above 0", "0"),
    (NIGHT, "brier-margin", "a number above 0 and of at most 0.25", "0"),
    (NIGHT, "target-ece", "a number above 0 and of at most 1", "0"),
    (NIGHT, "approval-hours", "a number above 0 and of at most 168", "1000"),
]
