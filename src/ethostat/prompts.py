"""Prompt sets: the built-in ones by name, any other from a file.

A row is `prompt` or `messages`, with `id`, `category` and `expected` where they are known. The columns of AdvBench,
TruthfulQA, XSTest and HarmBench are recognised.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from ethostat import fields
from ethostat.errors import InvalidInput, InvalidRow
from ethostat.response import Prompt, PromptSet
from ethostat.rows import Rejected, Row, read_rows

EXPECTED = ("help", "refuse", "correct")
"""How the built-in prompts are to be handled: answer; decline, or answer only a harmless reading; say what is true."""
_SETS = ("default", "demo")
_LOG = logging.getLogger(__name__)


def load_prompts(source: Path | str) -> PromptSet:
    """The prompts of a built-in set ("default", "demo") or of a file.

    A prompt without an id is named by its content hash. Equal prompts without ids are kept once, equal prompts
    under different ids are both kept; either is logged as a warning. Raises InvalidInput, with the first few
    places and the count, when any row is not a prompt or an id occurs twice: nothing has been asked yet, so
    nothing is lost.
    """
    if str(source) in _SETS:
        return _built_in(str(source))
    if str(source) != "-" and not Path(source).exists():
        raise InvalidInput(f"prompts {str(source)!r} must be a file that exists, or one of {', '.join(_SETS)}")
    return _from_rows(read_rows(source), place=str(source), name=Path(source).name)


def list_prompt_sets() -> tuple[PromptSet, ...]:
    """The built-in sets."""
    return tuple(map(_built_in, _SETS))


def _built_in(name: str) -> PromptSet:
    with resources.as_file(resources.files("ethostat") / "data" / "prompts" / "default.jsonl") as path:
        rows = [row for row in read_rows(path) if name == "default" or _in_demo(row)]
    return _from_rows(iter(rows), place=name, name=name)


def _in_demo(row: Row | InvalidRow) -> bool:
    return isinstance(row, InvalidRow) or row.fields.get("demo") is True


def _from_rows(rows: Iterator[Row | InvalidRow], *, place: str, name: str) -> PromptSet:
    rejected = Rejected()
    found: dict[str, Prompt] = {}
    lines: dict[str, int] = {}
    for row in rejected.set_aside(rows):
        try:
            prompt = _prompt(row)
            if prompt.id in found:
                _check_same(prompt, row, found[prompt.id], lines[prompt.id])
            else:
                found[prompt.id], lines[prompt.id] = prompt, row.line
        except InvalidInput as error:
            rejected.add(InvalidRow(place, row.line, str(error)))
    if rejected.count:
        raise InvalidInput(f"{place}: {_cannot_be_asked(rejected)}")
    _warn_of_equals(found, place)
    return PromptSet(name, tuple(found.values()))


def _check_same(prompt: Prompt, row: Row, first: Prompt, line: int) -> None:
    if prompt.id != prompt.hash or prompt.messages != first.messages:
        raise InvalidInput(f"id {fields.short(prompt.id)} was already used on line {line}; ids must be unique")
    _LOG.warning("line %d repeats the prompt of line %d; it is kept once", row.line, line)


def _cannot_be_asked(rejected: Rejected) -> str:
    places = "; ".join(f"line {row.line}: {row.reason}" for row in rejected.first[:5])
    more = f"; and {rejected.count - 5} more" if rejected.count > 5 else ""
    rows = "1 row is" if rejected.count == 1 else f"{rejected.count} rows are"
    return f"{rows} not usable as prompts, so none is asked; correct or remove: {places}{more}"


def _warn_of_equals(found: Mapping[str, Prompt], place: str) -> None:
    ids: dict[str, str] = {}
    for prompt in found.values():
        first = ids.setdefault(prompt.hash, prompt.id)
        if first != prompt.id:
            _LOG.warning("%s: prompts %r and %r are equal; both are asked", place, first, prompt.id)


def _prompt(row: Row) -> Prompt:
    row = _renamed(row)
    prompt = fields.prompt(row, id=fields.identifier(row, "id"))
    if prompt is None:
        seen = ", ".join(map(fields.short, list(row.fields)[:8]))
        raise InvalidInput(f"a prompt needs `prompt` or `messages`, got only {seen or 'nothing'}")
    if not prompt.text.strip():
        raise InvalidInput("the text that is to be answered must not be blank")
    if prompt.messages[-1].role == "assistant":
        raise InvalidInput("the last message must not be the assistant's, since the model is to answer it")
    return prompt


def _renamed(row: Row) -> Row:
    """The row of a public benchmark under our field names; any other row as it is."""
    lower = {name.strip().lower(): value for name, value in row.fields.items()}
    for columns, rename in _BENCHMARKS:
        if columns <= set(lower):
            return Row(row.line, rename(lower), row.textual)
    return row


def _advbench(cells: Mapping[str, Any]) -> dict[str, Any]:
    return {"prompt": cells["goal"], "category": cells.get("category") or "harmful", "expected": "refuse"}


def _truthfulqa(cells: Mapping[str, Any]) -> dict[str, Any]:
    return {"prompt": cells["question"], "category": cells.get("category") or "truthful", "expected": "correct"}


def _xstest(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Unsafe by the label where there is one; else by the type, which begins with "contrast" for the unsafe ones."""
    type_, label = str(cells["type"]), str(cells.get("label", ""))
    unsafe = label == "unsafe" if label in ("safe", "unsafe") else type_.startswith("contrast")
    shared = {name: cells[name] for name in ("id", "prompt")}
    return {**shared, "category": cells["type"], "expected": "refuse" if unsafe else "help"}


def _harmbench(cells: Mapping[str, Any]) -> dict[str, Any]:
    """The context, where there is one, stands before the behaviour, as in HarmBench's own prompts."""
    asked, context = cells["behavior"], cells.get("contextstring")
    if isinstance(context, str) and context.strip() and isinstance(asked, str):
        asked = f"{context}\n\n---\n\n{asked}"
    category = cells.get("semanticcategory") or "harmful"
    return {"id": cells["behaviorid"], "prompt": asked, "category": category, "expected": "refuse"}


_BENCHMARKS: tuple[tuple[set[str], Callable[[Mapping[str, Any]], dict[str, Any]]], ...] = (
    ({"goal", "target"}, _advbench),
    ({"question", "best answer"}, _truthfulqa),
    ({"id", "prompt", "type", "focus"}, _xstest),
    ({"id", "prompt", "type", "label"}, _xstest),
    ({"behavior", "behaviorid"}, _harmbench),
)
"""The columns that give a benchmark away, in lower case."""
