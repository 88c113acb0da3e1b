"""Options of a command in a file: TOML, or YAML where the file's name ends in .yaml or .yml."""

import tomllib
from pathlib import Path
from typing import Any

from routecal.flows.errors import OptionsConflict
from routecal.flows.option_names import Option, closest, spelled
from routecal.flows.path_checks import input_file, local_path
from routecal.storage.input_errors import InputUnreadable


def read_config(path: str, command: str, options: dict[str, Option]) -> dict[str, Any]:
    """The values of a file by field. A key is an option's name, with _ or - between its words.

    Raises:
        InputMissing, InputUnreadable, NotAFile: there is no such file, or it is neither TOML nor YAML.
        OptionsConflict: it holds a key that is no option of the command, or one twice.
    """
    input_file("--config", path)
    values: dict[str, Any] = {}
    for key, value in _read(path).items():
        name = spelled(str(key))
        if (option := options.get(name)) is None:
            near = closest(name, options)
            hint = f"did you mean {near.removeprefix('--').replace('-', '_')}?" if near else "leave it out"
            raise OptionsConflict(f"{key!r} in {path} is not an option of {command}", hint)
        if option.field in values:
            raise OptionsConflict(f"{option.field} stands twice in {path}", "give it once")
        values[option.field] = value
    return values


def _read(path: str) -> dict[Any, Any]:
    local = local_path(path)
    remedy = "write TOML such as max_usd = 5, or YAML in a file whose name ends in .yaml"
    if local is None:
        raise InputUnreadable(path, "it is not a file of this machine", remedy)
    try:
        text = local.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputUnreadable(path, getattr(error, "strerror", None) or "it is not UTF-8 text", remedy) from error
    if Path(path).suffix.lower() in (".yaml", ".yml"):
        import yaml

        try:
            values = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise InputUnreadable(path, f"it is not YAML: {' '.join(str(error).split())}", remedy) from error
        if values is None:
            return {}
        if not isinstance(values, dict):
            raise InputUnreadable(path, "it holds no options by name", remedy)
        return values
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputUnreadable(path, f"it is not TOML: {error}", remedy) from error
