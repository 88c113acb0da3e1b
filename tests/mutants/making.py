"""Mutants of a module: its text with one small thing changed, by the mutators of mutmut and a few of our own.

Only mutmut's mutators are used. Its runner leaves out decorated functions, and with them every property, and all that
is not in a function, and with it every default: here that is half of what decides.

Not mutated, as no decision lies in them: strings, annotations, decorators, what is raised, `__str__`, that a model is
frozen, and the types of arrays.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import libcst as cst
from libcst.metadata import MetadataWrapper, ParentNodeProvider
from mutmut.mutation.mutators import mutation_operators, operator_arg_removal, operator_assignment, operator_string

# A name and what takes its place: what mutmut does not know of, and a decision hangs on.
_OPPOSITES = {"min": "max", "any": "all", "low": "high", "argmin": "argmax", "ROUND_FLOOR": "ROUND_CEILING"}
SWAPS = _OPPOSITES | {new: old for old, new in _OPPOSITES.items()}

# Mutators that are not used, or not as they are: a test that comes by tells that a variable is None.
_LEFT_OUT = (operator_string, operator_assignment, operator_arg_removal)

# Calls whose arguments stay, and keywords whose values do.
_WHOLE = {"cast", "Field", "len", "isinstance", "__init__"}
_KEPT = {"description", "dtype", "frozen", "init", "repr", "compare"}


class Mutant(NamedTuple):
    """One change. A change is known by its text, so that it is the same one when lines move.

    Attributes:
        function: dotted name of what it lies in; empty at the top of the module.
        was: the changed lines before, joined by a space.
        becomes: the same after.
        line: number of the first changed line.
        code: of the whole module.
    """

    function: str
    was: str
    becomes: str
    line: int
    code: str


def mutants(code: str) -> Iterator[Mutant]:
    """Every mutant of a module's text, in its order, each once."""
    wrapper = MetadataWrapper(cst.parse_module(code))
    parents = wrapper.resolve(ParentNodeProvider)
    finder = _Finder()
    wrapper.module.visit(finder)
    seen = set()
    for node, new in finder.found:
        changed = wrapper.module.deep_replace(node, new).code  # type: ignore[arg-type]
        was, becomes, line = _difference(code, changed)
        mutant = Mutant(_function(node, parents), was, becomes, line, changed)
        if changed not in seen and was != becomes and _compiles(changed):
            seen.add(changed)
            yield mutant


class _Finder(cst.CSTVisitor):
    """Collects (node, what takes its place)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[cst.CSTNode, cst.CSTNode]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Annotation | cst.Decorator | cst.Raise | cst.BaseString | cst.Import | cst.ImportFrom):
            return False
        if isinstance(node, cst.FunctionDef) and node.name.value == "__str__":
            return False
        if isinstance(node, cst.Arg) and node.keyword and node.keyword.value in _KEPT:
            return False
        self.found += [(node, new) for new in _changes(node)]
        return True


def _changes(node: cst.CSTNode) -> Iterable[cst.CSTNode]:
    for kind, mutate in mutation_operators:
        if isinstance(node, kind) and mutate not in _LEFT_OUT:
            yield from mutate(node)
    if isinstance(node, cst.Call) and _name(node.func) not in _WHOLE:
        positional = sum(arg.keyword is None for arg in node.args)
        kept = [arg for arg in node.args if arg.keyword and arg.keyword.value in _KEPT]
        for new in operator_arg_removal(node):
            # Without a positional argument a call fails, or the next takes its place: any test that makes it tells.
            if sum(arg.keyword is None for arg in new.args) == positional and all(arg in new.args for arg in kept):
                yield new
    if isinstance(node, cst.Name) and node.value in SWAPS:
        yield node.with_changes(value=SWAPS[node.value])
    if isinstance(node, cst.If | cst.While | cst.CompIf | cst.IfExp):
        yield node.with_changes(test=_negated(node.test))


def _negated(test: cst.BaseExpression) -> cst.BaseExpression:
    inner = test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return cst.UnaryOperation(cst.Not(), inner)


def _name(func: cst.BaseExpression) -> str:
    """The last part of what is called."""
    return func.attr.value if isinstance(func, cst.Attribute) else getattr(func, "value", "")


def _function(node: cst.CSTNode, parents: object) -> str:
    names = []
    while (node := parents.get(node)) is not None:  # type: ignore[attr-defined]
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            names.append(node.name.value)
    return ".".join(reversed(names))


def _difference(before: str, after: str) -> tuple[str, str, int]:
    """(changed lines of before, of after, number of the first)."""
    old, new = before.splitlines(), after.splitlines()
    start = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    end = next(
        (i for i, (a, b) in enumerate(zip(reversed(old[start:]), reversed(new[start:]), strict=False)) if a != b), 0
    )
    was, becomes = (" ".join(line.strip() for line in side[start : len(side) - end]) for side in (old, new))
    return was, becomes, start + 1


def _compiles(code: str) -> bool:
    try:
        compile(code, "mutant", "exec")
    except (SyntaxError, SyntaxWarning):
        return False
    return True
