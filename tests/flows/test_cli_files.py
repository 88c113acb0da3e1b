"""`--config`, `--json` and `completion`: options from a file, results for programs, scripts for shells."""

import json
import subprocess
from pathlib import Path

import pytest

from routecal.calib.metrics.bootstrap import Estimate
from routecal.flows import cli
from routecal.flows.cli_options import Parsed, parse
from routecal.flows.commands import COMMANDS
from routecal.flows.oracle_params import LabelParams
from routecal.flows.params import ExtractParams
from routecal.flows.result_json import as_json
from routecal.storage.artifact import Artifact
from routecal.storage.head_registry import append_entry, history
from routecal.storage.layout import Home
from tests.flows.refusal import Capture, refused


def read(model: type[LabelParams], config: Path, *words: str) -> Parsed[LabelParams]:
    return parse(model, "label", ["--config", str(config), *words])


# ---- options from a file

SAME = {
    "label.toml": "queries = 'q.jsonl'\nmax-usd = 5\nlimit = 7\nvertex = true\n[rpm_of]\ngemini-4-argon = 100\n",
    "label.yaml": "queries: q.jsonl\nmax_usd: 5\nlimit: 7\nvertex: true\nrpm_of: {gemini-4-argon: 100}\n",
    "label.yml": "validation_file: q.jsonl\nmax_usd: '5'\nlimit: 7\nvertex: true\nrpm_of: gemini-4-argon=100\n",
}


@pytest.mark.parametrize("name", SAME)
def test_a_file_says_what_options_say(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(SAME[name])
    wanted = LabelParams(queries="q.jsonl", max_usd=5, limit=7, vertex=True, rpm_of={"gemini-4-argon": 100})
    assert read(LabelParams, tmp_path / name).params == wanted


def test_an_option_given_comes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(SAME["label.toml"])
    words = ["--limit", "9", "--no-vertex", "--rpm-of", "m=1"]
    params = read(LabelParams, tmp_path / "c.toml", *words).params
    assert (params.limit, params.vertex, params.rpm_of, params.max_usd) == (9, False, {"m": 1}, 5)


def test_lists_stand_in_a_file_as_lists_or_with_commas(tmp_path: Path) -> None:
    for name, text in (
        ("a.toml", "layers = [1, -1]\npoolings = 'last,mean'"),
        ("a.yaml", "layers: 1,-1\npoolings: [last, mean]"),
    ):
        (tmp_path / name).write_text(text)
        words = ["--config", str(tmp_path / name), "--queries", "q", "--router-path", "r"]
        params = parse(ExtractParams, "extract", words).params
        assert (params.layers, params.poolings) == ((1, -1), ("last", "mean"))


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("c.toml", "quieries = 'q.jsonl'", "'quieries' in c.toml is not an option of label; did you mean queries?"),
        ("c.toml", "zzz = 1", "'zzz' in c.toml is not an option of label; leave it out"),
        ("c.toml", "[calibrate]\nlimit = 3", "'calibrate' in c.toml is not an option of label"),
        ("c.toml", "max_usd = 1\nmax-usd = 2", "max_usd stands twice in c.toml; give it once"),
        ("c.toml", "limit = 0", "limit in c.toml is '0': give a whole number of at least 1"),
        ("c.toml", "limit = {a = 1}", "limit in c.toml is \"{'a': 1}\": give a whole number"),
        ("c.toml", "vertex = 'perhaps'", "vertex in c.toml is 'perhaps': give true or false"),
        ("c.toml", "limit: 3", "c.toml cannot be read: it is not TOML: "),
        ("c.yaml", "limit: [", "c.yaml cannot be read: it is not YAML: "),
        ("c.yaml", "- limit", "c.yaml cannot be read: it holds no options by name"),
        ("c.toml", None, "there is no file c.toml; check the spelling"),
    ],
)
def test_a_wrong_file_is_refused(
    name: str, text: str | None, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("q.jsonl").write_text("{}")
    if text is not None:
        Path(name).write_text(text)
    assert sentence in refused(capsys, "label", "--queries", "q.jsonl", "--config", name)


def test_two_files_are_refused(capsys: Capture) -> None:
    assert "--config is given twice" in refused(capsys, "heads", "--config", "a.toml", "--config", "b.toml")
    assert "--config is missing: give a TOML or YAML file" in refused(capsys, "heads", "--config")


# ---- results for programs


@pytest.fixture
def entry(tmp_path: Path) -> None:
    """A head that serves and one that waits."""
    heads = [Artifact(uri=str(tmp_path), sha256=str(i) * 64, rows=1, kind="calibrated") for i in range(2)]
    append_entry(Home.from_env(), "promoted", champion=heads[0], candidate=heads[0], after=0, reasons=["the first"])
    append_entry(Home.from_env(), "waiting", champion=heads[0], candidate=heads[1], after=1, reasons=["asked"])


def printed(capsys: Capture, *words: str) -> object:
    """The one JSON document on standard output."""
    capsys.readouterr()
    assert cli.main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("entry")
def test_json_is_one_document_with_the_names_of_the_result(capsys: Capture) -> None:
    table = printed(capsys, "heads")
    assert isinstance(table, dict)
    assert table.keys() == {"title", "columns", "rows", "empty"}
    assert [row["decision"] for row in table["rows"]] == ["waiting", "promoted"]
    promoted = printed(capsys, "promote")
    assert promoted == history(Home.from_env())[-1].model_dump(mode="json")


def test_a_refusal_with_json_prints_nothing_on_standard_output(capsys: Capture) -> None:
    assert cli.main(["promote", "--json"]) == 2
    assert capsys.readouterr().out == ""


def test_json_has_no_nan_and_no_bare_lists_in_place_of_named_values() -> None:
    estimate = Estimate(value=float("nan"), low=float("-inf"), high=0.5)
    said = json.loads(as_json({"ece": estimate, "rows": [{"p": float("nan")}], "at": (1, 2)}))
    assert (said["rows"], said["at"]) == ([{"p": None}], [1, 2])
    assert said["ece"] == {"value": None, "low": None, "high": 0.5}


# ---- shells


def test_bash_completes_commands_options_and_choices(capsys: Capture, tmp_path: Path) -> None:
    assert cli.main(["completion", "bash"]) == 0
    script = tmp_path / "routecal.bash"
    script.write_text(capsys.readouterr().out)
    words = [
        ["cal"],
        ["calibrate", "--orac"],
        ["label", "--oracle", "g"],
        ["completion", ""],
        ["label", "--queries", ""],
    ]
    body = 'f() { COMP_WORDS=(routecal "$@"); COMP_CWORD=$#; COMPREPLY=(); _shtab_routecal; echo ${COMPREPLY[@]}; }'
    calls = "\n".join("f " + " ".join(f"'{word}'" for word in one) for one in words)
    done = subprocess.run(
        ["bash", "-c", f"source routecal.bash; {body}\n{calls}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["calibrate", "--oracle", "gemini", "bash zsh fish", "routecal.bash"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script_that_names_every_command(shell: str, capsys: Capture) -> None:
    assert cli.main(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in (*COMMANDS, "serve", "deploy", "--router-path", "--max-usd"))


@pytest.mark.parametrize("words", [[], ["powershell"], ["bash", "zsh"]])
def test_a_shell_without_a_script_is_refused(words: list[str], capsys: Capture) -> None:
    assert "give one of bash, zsh, fish" in refused(capsys, "completion", *words)
