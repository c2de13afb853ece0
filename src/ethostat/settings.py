"""Settings from a file: what the command line takes as defaults.

The order is flag, environment (ETHOSTAT_...), file, built-in default. The file is the nearest `ethostat.toml`, or
`pyproject.toml` with a table `[tool.ethostat]`, in the working directory or above it. Its keys are the long
options without dashes in front (`max-tokens = 256`), at the top for every command that has the option, or in a
table named for one command.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ethostat.errors import InvalidInput

Options = Mapping[str, Iterable[str]]


def find_settings(start: Path) -> tuple[Path, dict[str, Any]] | None:
    """The nearest settings file at or above `start` and its table, None where there is none."""
    for folder in (start, *start.parents):
        own = folder / "ethostat.toml"
        if own.is_file():
            return own, _read(own)
        shared = folder / "pyproject.toml"
        if shared.is_file() and (table := _read(shared).get("tool", {}).get("ethostat")):
            return shared, table
    return None


def defaults_for(options: Options, table: Mapping[str, Any], *, path: Path) -> dict[str, dict[str, Any]]:
    """Defaults by command. `options` maps a command to the names of its options (with underscores).

    Raises InvalidInput for a key that no command has, naming the nearest one that exists.
    """
    defaults: dict[str, dict[str, Any]] = {command: {} for command in options}
    for key, value in table.items():
        if isinstance(value, dict):
            _check_key(key, options, path)
            for name, inner in value.items():
                _check_key(f"{key}.{name}", {f"{key}.{option}" for option in options[key]}, path)
                defaults[key][name.replace("-", "_")] = inner
            continue
        takers = [command for command, names in options.items() if key.replace("-", "_") in set(names)]
        if not takers:
            _check_key(key, {name for names in options.values() for name in names}, path)
        for command in takers:
            defaults[command].setdefault(key.replace("-", "_"), value)
    return defaults


def _check_key(key: str, known: Iterable[str], path: Path) -> None:
    names = {name.replace("_", "-") for name in known}
    if key.replace("_", "-") in names:
        return
    near = difflib.get_close_matches(key, names, n=1)
    meant = f"did you mean {near[0]!r}?" if near else "see `ethostat COMMAND --help` for the options"
    raise InvalidInput(f"{path}: {key!r} is not a setting; {meant}")


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InvalidInput(f"{path}: cannot be read as TOML: {error}") from error
