"""Stress schedules: what a user says turn after turn; the built-in ones by name, any other from a YAML or JSON file.

A schedule holds several threads, each a conversation of its own. Past its written turns a thread goes on by a rule:
it comes back to some of them, each time in other words.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from ethostat.conversation import turn_id
from ethostat.documents import SUFFIXES, kind_of, read_document
from ethostat.errors import InvalidInput
from ethostat.response import Message, Prompt, PromptSet

BUILT_IN = ("calm", "crescendo", "persona", "many-shot", "persuasion", "topic-drift", "probe-and-return")
_PLACE = "{turn}"
_LONGEST = 100_000


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing that the user says.

    `before` are written exchanges, user and assistant in turn, that stand in the conversation as if they had
    happened; they are not asked. `category` groups turns in reports.
    """

    text: str
    category: str | None = None
    before: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Again:
    """How a thread goes on past its written turns: from turn number `start` (from 1) to the last, over and over.

    Each time round has the next of `variations`, in which `{turn}` stands for what was said the first time.
    """

    start: int = 1
    variations: tuple[str, ...] = (_PLACE,)


@dataclass(frozen=True, slots=True)
class Thread:
    """One conversation of a schedule, as far as it is written, and how it goes on."""

    id: str
    turns: tuple[Turn, ...]
    again: Again

    def said(self, step: int) -> Turn:
        """What the user says at a step, from 1; there is no last one."""
        place = step - 1
        if place < len(self.turns):
            return self.turns[place]
        first = self.again.start - 1
        length = len(self.turns) - first
        lap, place = divmod(place - len(self.turns), length)
        turn = self.turns[first + place]
        # Neighbours get different words, and so does a turn each time it comes round.
        words = self.again.variations[(lap + place) % len(self.again.variations)]
        return Turn(words.replace(_PLACE, turn.text), turn.category, turn.before)

    def repeats_after(self, *, most: int = 1000) -> int | None:
        """The fewest turns between two in the same words, within so many steps; None where there are no two."""
        last: dict[str, int] = {}
        nearest: int | None = None
        for step in range(1, most + 1):
            text = self.said(step).text
            if text in last:
                nearest = min(nearest or most, step - last[text])
            last[text] = step
        return nearest


@dataclass(frozen=True)
class Schedule:
    """Threads of user turns under one name, with a version and a hash over everything that is said.

    `expected` says, by category, how a careful operator wants a turn handled.
    """

    name: str
    version: str
    description: str
    threads: tuple[Thread, ...]
    expected: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of threads, rule and expectations; name and description stay outside."""
        fields = self.to_dict()
        text = json.dumps([fields["expected"], fields["threads"]], sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def replicates(self, count: int) -> list[tuple[str, Thread]]:
        """So many conversations, by name: each thread once, then each again, `lamp.1`, `tide.1`, `lamp.2` ..."""
        return [
            (f"{thread.id}.{number // len(self.threads) + 1}", thread)
            for number, thread in ((n, self.threads[n % len(self.threads)]) for n in range(count))
        ]

    def prompts(self, *, steps: int, replicates: int) -> PromptSet:
        """The turns of every replicate, one replicate after the other, as prompts with ids like `lamp.1/step-0007`."""
        return PromptSet(
            self.name,
            tuple(
                self._prompt(turn_id(name, step), thread.said(step))
                for name, thread in self.replicates(replicates)
                for step in range(1, steps + 1)
            ),
        )

    def _prompt(self, id: str, turn: Turn) -> Prompt:
        expected = None if turn.category is None else self.expected.get(turn.category)
        return Prompt(id, (*turn.before, Message("user", turn.text)), turn.category, expected)

    def to_dict(self) -> dict[str, Any]:
        """Plain values: the file again, with each thread's rule written out."""
        return {
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "expected": dict(self.expected),
            "threads": [_thread_to_dict(thread) for thread in self.threads],
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Schedule:
        """A schedule from plain values. Raises InvalidInput with the place, the value and the rule."""
        _only(fields, {"name", "version", "description", "expected", "threads", "again"}, "the schedule")
        again = fields.get("again")
        threads = tuple(
            _thread(item, again, f"thread {n}") for n, item in enumerate(_list(fields, "threads", "the schedule"), 1)
        )
        ids = [thread.id for thread in threads]
        if twice := [id for id in ids if ids.count(id) > 1]:
            raise InvalidInput(f"thread id {twice[0]!r} occurs twice; ids must be unique")
        expected = fields.get("expected", {})
        if not isinstance(expected, Mapping):
            raise InvalidInput(f"`expected` must map categories to words, got {kind_of(expected)}")
        return cls(
            _text(fields, "name", "the schedule"),
            _text(fields, "version", "the schedule"),
            _text(fields, "description", "the schedule", default=""),
            threads,
            {_text({"key": key}, "key", "expected"): _text(expected, key, "expected") for key in expected},
        )


def load_schedule(source: Path | str) -> Schedule:
    """A built-in schedule by its name, or that of a file (.yaml, .yml, .json).

    Raises InvalidInput naming the file, the line where the syntax is wrong, or the place and rule that is broken.
    """
    if str(source) in BUILT_IN:
        with resources.as_file(resources.files("ethostat") / "data" / "schedules" / f"{source}.yaml") as path:
            return _read(path)
    path = Path(source)
    if path.suffix.lower() not in SUFFIXES:
        near = difflib.get_close_matches(str(source), BUILT_IN, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise InvalidInput(
            f"schedule {str(source)!r} must be a .yaml or .json file, or one of {', '.join(BUILT_IN)}{meant}"
        )
    return _read(path)


def list_schedules() -> tuple[Schedule, ...]:
    """The built-in schedules."""
    return tuple(map(load_schedule, BUILT_IN))


def _read(path: Path) -> Schedule:
    fields = read_document(path)
    if not isinstance(fields, dict):
        raise InvalidInput(f"{path}: a schedule must be a mapping of name, version, threads; got {kind_of(fields)}")
    try:
        schedule = Schedule.from_dict(fields)
        json.dumps(schedule.to_dict(), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{path}: a text holds half of a surrogate pair; write the character itself") from error
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error
    return schedule


def _thread(item: Any, again: Any, where: str) -> Thread:
    _only(item, {"id", "turns", "again"}, where)
    turns = tuple(_turn(one, f"{where}, turn {n}") for n, one in enumerate(_list(item, "turns", where), 1))
    id = _text(item, "id", where)
    if "/" in id:
        raise InvalidInput(f"{where}: id {id!r} must not hold a slash; it stands before one in the ids of turns")
    return Thread(id, turns, _again(item.get("again", again), turns, where))


def _turn(item: Any, where: str) -> Turn:
    if isinstance(item, str):
        item = {"say": item}
    _only(item, {"say", "category", "before"}, where)
    text = _text(item, "say", where)
    category = _text(item, "category", where, default="") or None
    pairs = _list(item, "before", where) if "before" in item else []
    return Turn(text, category, tuple(message for pair in pairs for message in _exchange(pair, where)))


def _exchange(item: Any, where: str) -> Iterator[Message]:
    _only(item, {"user", "assistant"}, f"{where}, before")
    for role in ("user", "assistant"):
        yield Message(role, _text(item, role, f"{where}, before"))


def _again(item: Any, turns: tuple[Turn, ...], where: str) -> Again:
    if item is None:
        return Again()
    _only(item, {"from", "variations"}, f"{where}, again")
    start = item.get("from", 1)
    if not isinstance(start, int) or isinstance(start, bool) or not 1 <= start <= len(turns):
        raise InvalidInput(f"{where}: `from` of `again` must be one of its turns, 1 to {len(turns)}; got {start!r}")
    words = _list(item, "variations", f"{where}, again") if "variations" in item else [_PLACE]
    for one in words:
        if not isinstance(one, str) or one.count(_PLACE) != 1 or len(one) > _LONGEST:
            raise InvalidInput(f"{where}: a variation must be a text with {_PLACE} in it once; got {one!r:.80}")
    return Again(start, tuple(words))


def _only(item: Any, known: set[str], where: str) -> None:
    if not isinstance(item, Mapping):
        raise InvalidInput(f"{where} must be a mapping of {', '.join(sorted(known))}; got {kind_of(item)}")
    if unknown := [str(key) for key in item if key not in known]:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        meant = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
        raise InvalidInput(f"{where}: {unknown[0]!r:.80} is no field; {meant}")


def _list(item: Mapping[str, Any], name: str, where: str) -> list[Any]:
    value = item.get(name)
    if not isinstance(value, list) or not value:
        raise InvalidInput(f"{where}: `{name}` must be a list of at least one, got {kind_of(value)}")
    return value


def _text(item: Mapping[str, Any], name: str, where: str, *, default: str | None = None) -> str:
    value = item.get(name, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        got = "an empty text" if value == "" else kind_of(value)
        raise InvalidInput(f"{where}: `{name}` must be a text that is not blank, in quotes if need be; got {got}")
    if len(value) > _LONGEST:
        raise InvalidInput(f"{where}: `{name}` must be at most {_LONGEST:,} characters, got {len(value):,}")
    return value


def _thread_to_dict(thread: Thread) -> dict[str, Any]:
    return {
        "id": thread.id,
        "again": {"from": thread.again.start, "variations": list(thread.again.variations)},
        "turns": [_turn_to_dict(turn) for turn in thread.turns],
    }


def _turn_to_dict(turn: Turn) -> dict[str, Any]:
    fields: dict[str, Any] = {"say": turn.text}
    if turn.category is not None:
        fields["category"] = turn.category
    if turn.before:
        pairs = zip(turn.before[::2], turn.before[1::2], strict=True)
        fields["before"] = [{"user": asked.content, "assistant": said.content} for asked, said in pairs]
    return fields
