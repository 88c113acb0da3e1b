"""The errors of decisions between the models: of grades, costs, thresholds and the policy map."""

from routecal.calib.errors import CalibError


class PolicyMapUnusable(CalibError):
    """A policy map does not divide the three policies between two models.

    No ValueError: pydantic would fold that, with its sentence, into an error of its own.

    Args:
        given: the map, as a command line has it.
        why: what is wrong with it, as a verb phrase.
        remedy: what to do.
    """

    given: str
    why: str
    remedy: str
    sentence = "the policy map {given} {why}; {remedy}"


class GradeUnknown(CalibError, ValueError):
    """Grades of answers are missing, so the quality of serving them is not known."""

    model: str
    n_missing: int
    n: int
    sentence = (
        "{n_missing} of {n} answers of the {model} model have no grade; cost and quality need {model}_grade (CORRECT, "
        "INCORRECT or NOT_ATTEMPTED) for every query, its policy alone is not enough"
    )


class PriceUnknown(CalibError, ValueError):
    """What an answer cost is not known; it is never taken for 0."""

    model: str
    n_missing: int
    n: int
    sentence = (
        "the cost of {n_missing} of {n} answers of the {model} model is unknown, and an unknown cost is not taken for "
        "0; record {model}_cost_usd with every label, or set a flat price per answer for both models in one unit "
        "(--medium-price 1 --large-price 20 says that large costs twenty times as much)"
    )


class InvalidCost(CalibError, ValueError):
    """A cost is negative or infinite."""

    model: str
    index: int
    value: float
    sentence = "{model}_cost[{index}] = {value!r} is not a cost; give finite numbers, at least 0"


class NothingToSave(CalibError, ValueError):
    """The large model is free, so no share of its cost can be saved."""

    n: int
    sentence = (
        "the large model costs 0 on all {n} queries, so there is nothing to save; if it takes time or hardware "
        "instead of money, set prices of your own (--medium-price, --large-price)"
    )


class OutOfReach(CalibError, ValueError):
    """No threshold does what was asked for.

    Args:
        asked: what was asked for, with its number.
        why: what stands against it.
        nearest: what can be had instead.
    """

    asked: str
    why: str
    nearest: str
    sentence = "{asked} cannot be had: {why}; the nearest that can be had is {nearest}"
