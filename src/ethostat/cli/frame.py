"""What surrounds every command: settings from a file, JSON, errors and exit codes.

Exit codes: 0 done, 1 an error, 2 wrong usage or input, 3 too little evidence, 100 a gate failed, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

import ethostat as es
from ethostat.errors import EthostatError, InvalidInput, TooLittleEvidence
from ethostat.settings import defaults_for, find_settings
from ethostat.visible import stripped

# Newer typers carry click inside, older ones depend on it: this is UsageError in both.
_UsageError: Any = typer.BadParameter.__mro__[1]
DONE, FAILED, USAGE, INCONCLUSIVE, GATE_FAILED, INTERRUPTED = 0, 1, 2, 3, 100, 130


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run a command line and give its exit code; no error leaves it as a traceback.

    With ETHOSTAT_DEBUG set, the traceback of an error is printed as well.
    """
    as_json = "--json" in arguments
    try:
        command = get_command(app)
        code = command.main(list(arguments), "ethostat", standalone_mode=False, default_map=_file_defaults(command))
        sys.stdout.flush()
    except _UsageError as error:
        error.show(sys.stderr)
        return _report(error, as_json, code=USAGE, message=error.format_message())
    except EthostatError as error:
        return _report(error, as_json, code=_code(error), message=str(error), show=True)
    except (KeyboardInterrupt, typer.Abort) as error:
        return _report(error, as_json, code=INTERRUPTED, message=str(error) or "interrupted", show=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:  # noqa: BLE001 - the last net: a user sees a sentence, not a stack
        message = (
            f"internal error: {type(error).__name__}: {error}; set ETHOSTAT_DEBUG=1 for the traceback and report it"
        )
        return _report(error, as_json, code=FAILED, message=message, show=True)
    return code if isinstance(code, int) else DONE


def print_json(value: Any) -> None:
    """One JSON value on standard output, ASCII only, so that no terminal or locale can spoil it."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True, allow_nan=False, indent=2) + "\n")


def json_line(value: Any) -> str:
    """One JSON value on one line. Lone surrogates and control characters stand escaped."""
    return json.dumps(value, ensure_ascii=True, default=str)


@contextmanager
def opened_store(db: str | None, *, create: bool = False) -> Iterator[es.Store]:
    """The store that --db names, else the user's own; a named one must exist unless `create` is true."""
    with es.Store(db or es.default_path(), create=create or db is None) as store:
        yield store


def opened_classifier(spec: str, taxonomy: str | None) -> tuple[es.Classifier, es.Taxonomy]:
    """The classifier and the goals that are counted, by default its own; `check_goals` says whether the two agree."""
    if taxonomy is None:
        sorter = es.open_classifier(spec)
        return sorter, sorter.taxonomy
    goals = es.load_taxonomy(taxonomy)
    return es.open_classifier(spec, taxonomy=goals), goals


def named_classifier(spec: str, taxonomy: str | None) -> tuple[es.Classifier | None, es.Taxonomy]:
    """As `opened_classifier`, but None for the built-in one: it is opened where a row first needs it."""
    if spec != "builtin":
        return opened_classifier(spec, taxonomy)
    return None, es.FIVE_GOALS if taxonomy is None else es.load_taxonomy(taxonomy)


def find_detector(name: str) -> es.Kind:
    """The kind of detector that --detector names."""
    if name not in es.KINDS:
        raise InvalidInput(f"detector {name!r} must be one of {', '.join(es.KINDS)}")
    return es.KINDS[name]


def warn(message: str) -> None:
    """A line on standard error, without control characters."""
    sys.stderr.write(stripped(message) + "\n")


def _code(error: EthostatError) -> int:
    if isinstance(error, InvalidInput):
        return USAGE
    return INCONCLUSIVE if isinstance(error, TooLittleEvidence) else FAILED


def _report(error: BaseException, as_json: bool, *, code: int, message: str, show: bool = False) -> int:
    if os.environ.get("ETHOSTAT_DEBUG"):
        traceback.print_exception(error)
    if as_json:
        print_json({"error": {"kind": type(error).__name__, "message": message, "exit_code": code}})
    if show:
        warn(f"error: {message}")
    return code


def _file_defaults(command: Any) -> dict[str, Any]:
    found = find_settings(Path.cwd())
    if found is None:
        return {}
    path, table = found
    options = {
        name: {parameter.name for parameter in one.params if parameter.param_type_name == "option"}
        for name, one in command.commands.items()
    }
    return defaults_for(options, table, path=path)
