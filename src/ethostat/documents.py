"""Documents that people write by hand, as plain values: YAML or JSON, small, without aliases or repeated keys."""

from __future__ import annotations

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from ethostat.errors import InvalidInput

LARGEST = 2**20
"""Bytes that a document may have."""
SUFFIXES = (".yaml", ".yml", ".json")


def read_document(path: Path, *, error: type[InvalidInput] = InvalidInput) -> Any:
    """The value that a file holds; JSON by its suffix, else YAML.

    Raises `error` naming the file, the line where the syntax is wrong, and the rule that is broken.
    """
    try:
        text = _text(path)
        return _from_json(path, text) if path.suffix.lower() == ".json" else _from_yaml(path, text)
    except InvalidInput as reason:
        raise error(str(reason)) from reason


def kind_of(value: object) -> str:
    """What a message calls the type of a document's value."""
    return "nothing" if value is None else type(value).__name__


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise InvalidInput(f"{path}: cannot be read: {said}; check the path") from error
    if len(content) > LARGEST:
        raise InvalidInput(f"{path}: such a file must be at most {LARGEST >> 20} MB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidInput(f"{path}:{line}: not UTF-8 (byte {error.start}); save the file as UTF-8") from error


def _from_json(path: Path, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    except RecursionError as error:
        raise InvalidInput(f"{path}: nested too deeply") from error
    except ValueError as error:  # repeated keys, numbers of thousands of digits
        raise InvalidInput(f"{path}: {error}") from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice!r} occurs twice in one object; remove one")
    return fields


class _PlainLoader(yaml.SafeLoader):
    """Safe YAML without aliases (a small file could grow without bound) and without repeated keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, "aliases (*name) are not allowed; write it out", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        fields = super().construct_mapping(node, deep=deep)
        if len(fields) < len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key occurs twice; remove one", node.start_mark)
        return fields


def _from_yaml(path: Path, text: str) -> Any:
    try:
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506  (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise InvalidInput(f"{path}{line}: not YAML: {error.problem or error.context}") from error
    except yaml.reader.ReaderError as error:
        line_number = text.count("\n", 0, error.position) + 1
        character = f"U+{ord(text[error.position]):04X}"
        raise InvalidInput(f"{path}:{line_number}: not YAML: {character} is not allowed") from error
    except RecursionError as error:
        raise InvalidInput(f"{path}: nested too deeply") from error
    except (yaml.YAMLError, ValueError, OverflowError, LookupError, AttributeError) as error:
        # A date that does not exist, a number of thousands of digits: constructors raise what Python raises.
        raise InvalidInput(f"{path}: not YAML that can be read: {error}") from error
