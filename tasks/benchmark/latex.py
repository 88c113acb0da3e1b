"""Tables for a paper: LaTeX with the package booktabs."""

from collections.abc import Iterable, Sequence

_ESCAPED = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "×": r"$\times$",
    "±": r"$\pm$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "Δ": r"$\Delta$",
    "−": "$-$",
    "–": "--",
    "·": r"$\cdot$",
}


def escaped(text: str) -> str:
    """Text as LaTeX shows it.

    >>> escaped("max_prob × 95%")
    'max\\\\_prob $\\\\times$ 95\\\\%'
    """
    return "".join(_ESCAPED.get(character, character) for character in text)


def interval(value: float, low: float, high: float, *, digits: int) -> str:
    """A signed number with its interval, bold where the interval leaves out 0; already LaTeX.

    >>> interval(-0.5, -1.0, 0.25, digits=1)
    '$-0.5$ [$-1.0$, $+0.2$]'
    """
    number = f"{value:+.{digits}f}"
    shown = rf"\mathbf{{{number}}}" if low > 0 or high < 0 else number
    return f"${shown}$ [${low:+.{digits}f}$, ${high:+.{digits}f}$]"


def booktabs(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str, label: str, text_columns: int = 1
) -> str:
    r"""A floating table; needs \usepackage{booktabs}.

    Args:
        columns: headings, plain text.
        rows: cells, already LaTeX; an empty row is a thin rule.
        caption, label: plain text, and what \ref takes.
        text_columns: how many columns are aligned left; the others are aligned right.
    """
    align = "l" * text_columns + "r" * (len(columns) - text_columns)
    body = [" & ".join(cells) + r" \\" if cells else r"\midrule" for cells in rows]
    lines = [
        r"\begin{table}[t]",
        r"\centering",
        rf"\caption{{{escaped(caption)}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{{align}}}",
        r"\toprule",
        " & ".join(escaped(column) for column in columns) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"
