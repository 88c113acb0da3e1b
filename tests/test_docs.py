"""README and docs/ keep their word: commands and options parse, files, names and tables are those of the code."""

import ast
import re
import shlex
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import FunctionType

import pytest

import routecal
from routecal.__main__ import DEPLOYED
from routecal.calib.baselines import BASELINES
from routecal.calib.learn.rewards import REWARDS
from routecal.calib.metrics import METRICS
from routecal.calib.recalibrate import RECALIBRATORS
from routecal.flows.commands import COMMANDS
from routecal.flows.option_names import spelled
from routecal.storage.query_files import names as queries
from routecal.storage.schemas import SCHEMAS
from routecal.tasks.oracle import ORACLES

ROOT = Path(__file__).parents[1]
FOLDERS = ("calib", "storage", "tasks", "flows", "deployments", "routecal")
# LOG and CHANGELOG tell of names that were; pages that only include another file say nothing themselves.
FILES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "deployments/README.md")]
FILES += sorted((ROOT / "docs").rglob("*.md"))
PAGES = {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in FILES}
CODE = (".py", ".yaml", ".toml")
# Files that people copy; what they read from the environment is theirs.
COPIED = [file for file in (ROOT / "docs" / "recipes").rglob("*") if file.suffix in CODE]
PRODUCT = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*") if file.suffix not in ("", ".pyc")]

page = pytest.mark.parametrize("text", PAGES.values(), ids=PAGES.keys())


def fenced(text: str, language: str = r"\w*") -> list[str]:
    """The code blocks of a page, without what they are indented by."""
    blocks = re.findall(rf"^( *)```{language}\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in blocks]


def inline(text: str) -> list[str]:
    """What stands in single backticks, outside of blocks."""
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose)


def commands(program: str, text: str) -> list[str]:
    """What a page says to type that runs `program`: lines of code blocks and inline code, without comments."""
    indented = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))
    lines = "\n".join((*fenced(text), indented, *inline(text))).replace("\\\n", " ").splitlines()
    plain = [line.split("#")[0].strip().removeprefix("$ ").removeprefix(".venv/bin/") for line in lines]
    return [line for line in plain if line.startswith(f"{program} ")]


def test_readme_is_a_first_page_and_shows_how_to_start() -> None:
    readme = PAGES["README.md"]
    assert len(readme.splitlines()) <= 130
    assert {"make demo", "make test", "make serve"} <= set(commands("make", readme))
    assert any(line.startswith("routecal calibrate ") for line in commands("routecal", readme))


@page
def test_every_make_target_exists(text: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    used = {word for line in commands("make", text) for word in line.split()[1:] if "=" not in word}
    assert used <= targets, used - targets


@page
def test_every_command_parses(text: str) -> None:
    for line in commands("routecal", text):
        names, *rest = shlex.split(line)[1:]
        # `a | b | c` lists alternatives
        alternatives = [names, *(word for before, word in pairwise(rest) if before == "|")]
        for name in (
            n for n in alternatives if n not in ("--help", "--verbose", "--refresh", "COMMAND", "NAME", "completion")
        ):
            assert name in COMMANDS or name in DEPLOYED, line
            used = {word.split("=")[0] for word in rest if word.startswith("--")}
            assert used <= options(name), f"{line}: {used - options(name)}"


def options(name: str) -> set[str]:
    """Every spelling of every option of a command."""
    if name in DEPLOYED:
        source = Path(import_module(DEPLOYED[name][0]).__file__ or "").read_text(encoding="utf-8")
        return {"--help", *re.findall(r'\("(--[a-z-]+)"', source)}
    model = COMMANDS[name].params
    known = {"--help", "--help-all", "--json", "--config"} | set(map(spelled, model.model_fields))
    known |= {"--no-" + f.replace("_", "-") for f, i in model.model_fields.items() if i.annotation is bool}
    return known | {
        "--" + str(a).replace("_", "-")
        for i in model.model_fields.values()
        for a in getattr(i.validation_alias, "choices", ())
    }


@page
def test_every_option_in_prose_is_one_of_some_command(text: str) -> None:
    known = {"--version", "--refresh", "--verbose"}.union(*map(options, (*COMMANDS, *DEPLOYED)))
    used = {code.split()[0].split("=")[0] for code in inline(text) if re.match(r"--\w", code)}
    assert used <= known, used - known


PINNED = sorted((ROOT / "tests" / "recipes" / "requirements").glob("*.txt"))


@pytest.mark.parametrize("pinned", PINNED, ids=[file.stem for file in PINNED])
def test_a_recipe_s_page_installs_what_its_tests_do_and_links_its_files(pinned: Path) -> None:
    text = PAGES[f"docs/recipes/{pinned.stem}.md"]
    [line] = commands("pip", text)
    assert shlex.split(line)[2:] == pinned.read_text(encoding="utf-8").split()
    files = {file.name for file in COPIED if file.parent.name == pinned.stem}
    assert files
    assert not {name for name in files if f"[{name}]({pinned.stem}/{name})" not in text}


def test_every_command_is_listed() -> None:
    assert {f"`routecal {name}`" for name in (*COMMANDS, *DEPLOYED)} <= set(
        re.findall(r"`[^`]+`", PAGES["docs/commands.md"])
    )


@page
def test_every_file_of_ours_that_is_named_exists(text: str) -> None:
    named = [code for code in inline(text) if re.match(rf"({'|'.join((*FOLDERS, 'tests', 'docs'))})/[\w./-]*$", code)]
    assert not {path for path in named if not (ROOT / path).exists() and "NAME" not in path}


@page
def test_every_module_and_name_of_ours_exists(text: str) -> None:
    dotted = {code for code in inline(text) if re.fullmatch(r"routecal(\.\w+)+", code)}
    for block in fenced(text, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "routecal":
                dotted |= {f"{node.module}.{alias.name}" for alias in node.names}
    assert not {name for name in dotted if not exists(name)}


def exists(name: str) -> bool:
    """Whether a module or an attribute of one has that dotted name."""
    module, _, attribute = name.rpartition(".")
    try:
        return hasattr(import_module(module), attribute) or bool(import_module(name))
    except ModuleNotFoundError:
        return False


@page
def test_every_variable_of_ours_is_read_somewhere(text: str) -> None:
    named = set(re.findall(r"\b(?:ROUTECAL|GEMINI|OPENAI)_[A-Z_]+\b", text))
    code = "\n".join(file.read_text(encoding="utf-8") for file in (*PRODUCT, *COPIED) if file.suffix in CODE)
    assert not {name for name in named if name not in code}


REGISTRIES = {
    "reward": (REWARDS, "docs/method.md"),
    "baseline": (BASELINES, "docs/method.md"),
    "recalibrator": (RECALIBRATORS, "docs/method.md"),
    "metric": (METRICS, "docs/method.md"),
    "oracle": (ORACLES, "docs/labelling.md"),
    "statistic": (dict.fromkeys(queries()), "docs/artifacts.md"),
}


@pytest.mark.parametrize(("registry", "where"), REGISTRIES.values(), ids=REGISTRIES.keys())
def test_every_registered_name_is_explained(registry: dict[str, object], where: str) -> None:
    missing = [name for name in registry if f"`{name}`" not in PAGES[where]]
    assert not missing, f"{where} does not explain {missing}: give each a row"


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_columns_of_a_table_are_those_of_the_page(kind: str) -> None:
    section = re.search(rf"^### {kind}\n(.*?)(?=^##|\Z)", PAGES["docs/artifacts.md"], re.DOTALL | re.MULTILINE)
    assert section is not None
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \| (yes|no) \| .+ \|$", section[1], re.MULTILINE)
    assert rows == [(f.name, str(f.type), "yes" if f.nullable else "no") for f in SCHEMAS[kind]]


def documented() -> set[str]:
    """The modules and names that the reference pages are built from."""
    return {name for text in PAGES.values() for name in re.findall(r"^::: (\S+)$", text, re.MULTILINE)}


def test_every_public_name_is_in_the_reference() -> None:
    assert {f"routecal.{name}" for name in routecal.__all__ if name != "__version__"} <= documented()


@pytest.mark.parametrize("name", sorted(documented()))
def test_what_the_reference_shows_has_a_docstring(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    found = getattr(import_module(module), attribute, None) or import_module(name)
    public = {one: getattr(found, one) for one in getattr(found, "__all__", ())}
    assert found.__doc__
    assert not {one for one, value in public.items() if isinstance(value, type | FunctionType) and not value.__doc__}


def intervals(text: str) -> set[str]:
    """Every interval of two numbers with a point, with ASCII signs."""
    return set(re.findall(r"\[[+-]?\d*\.\d+, [+-]?\d*\.\d+\]", text.replace("−", "-")))


def test_every_interval_of_a_result_is_of_the_log() -> None:
    log = (ROOT / "LOG.md").read_text(encoding="utf-8")
    # The demo's table stands on the page alone; the log refers to it.
    results = re.sub(r"^## The demo\n.*?(?=^## )", "", PAGES["docs/results.md"], flags=re.DOTALL | re.MULTILINE)
    assert len(intervals(results)) > 40
    assert intervals(results + PAGES["README.md"]) <= intervals(log)


# What the code cites of the method and the design, with section numbers; the anchors are on the page on the method.
CITED = re.compile(r"METHOD\.md step (\d)|DESIGN (\d\.\d+)")


def test_every_step_and_section_that_the_code_cites_has_an_anchor() -> None:
    cited = {found for file in PRODUCT if file.suffix == ".py" for found in CITED.findall(file.read_text("utf-8"))}
    assert cited
    anchors = {f"method-step-{step}" if step else f"design-{section.replace('.', '-')}" for step, section in cited}
    assert not {one for one in anchors if f"{{ #{one} }}" not in PAGES["docs/method.md"]}


# `.ci/run` and the tests, which skip without it, may look beside the project; nobody else.
OUTSIDE = re.compile(r"\.\./shared\b|(?<![\w.])/work/")


def test_nothing_but_tests_and_ci_points_outside_of_the_project() -> None:
    # LOG.md says where data lay when something was measured.
    others = [file for file in ROOT.glob("*") if file.is_file() and file.name not in (".git", "LOG.md")]
    files = [*PRODUCT, *COPIED, *FILES, *others, *(ROOT / "docs").rglob("*.ipynb")]
    texts = [(file, file.read_bytes()) for file in files if file.is_file()]
    assert not {str(file.relative_to(ROOT)) for file, text in texts if OUTSIDE.search(text.decode(errors="replace"))}
