"""A risk and its level in the words that people read; the same everywhere."""


def risk_in_words(risk: str, level: float) -> str:
    """What is bounded, and by how much.

    >>> print(risk_in_words("loss", 0.01))
    at most 1 point of quality lost against all-large
    >>> print(risk_in_words("kept", 0.05))
    at most 5 % of the queries kept on the medium model need the large one
    """
    amount = f"at most {level_in_words(risk, level)} of"
    if risk == "loss":
        return f"{amount} quality lost against all-large"
    if risk == "harm":
        return f"{amount} all queries answered wrong that the large model would answer right"
    return f"{amount} the queries kept on the medium model need the large one"


def level_in_words(risk: str, level: float) -> str:
    """Points for quality lost, per cent for shares of queries.

    >>> level_in_words("loss", 0.024), level_in_words("harm", 0.024)
    ('2.4 points', '2.4 %')
    """
    percent = f"{100 * level:.3g}"
    if risk != "loss":
        return f"{percent} %"
    return "1 point" if percent == "1" else f"{percent} points"


def counted(n: int, one: str, many: str) -> str:
    """A number and its noun.

    >>> counted(1540, "label", "labels"), counted(1, "label", "labels")
    ('1,540 labels', '1 label')
    """
    return f"{n:,} {one if n == 1 else many}"
