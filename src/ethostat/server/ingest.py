"""Bodies of requests as events: JSON and NDJSON, compressed or not; what is wrong with an event is said of it alone."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ethostat import fields
from ethostat.errors import EthostatError, InvalidInput
from ethostat.ledger.records import NewEvent
from ethostat.monitor.policy import seconds
from ethostat.response import Prompt
from ethostat.rows import Row
from ethostat.server.redaction import Redact, kept
from ethostat.taxonomy import Taxonomy
from ethostat.transcripts.transcript import read_verdict

JSON_TYPES, LINE_TYPES = ("application/json",), ("application/x-ndjson", "application/ndjson", "application/jsonl")
ENCODINGS = ("", "identity", "gzip", "deflate")
MOST_EVENTS = 10_000
"""Events that one request may bring."""
_CHUNK = 1 << 16
_ANY_WINDOW = 32 + zlib.MAX_WBITS  # gzip and zlib, told apart by their first bytes


class TooLarge(EthostatError):
    """A body is larger than may be, as it came or unpacked."""


class Told(msgspec.Struct):
    """An event as a client writes it."""

    id: str | int
    stream: str
    time: str | None = None
    prompt: str | None = None
    messages: Any = None
    response: str | None = None
    goal: str | None = None
    probabilities: Any = None
    session: str | int | None = None
    model: str | None = None
    labels: dict[str, str | int | float | bool] | None = None


class _Body(msgspec.Struct):
    events: list[Told]


class _RawBody(msgspec.Struct):
    events: list[msgspec.Raw]


_BODY = msgspec.json.Decoder(_Body)
_RAW_BODY = msgspec.json.Decoder(_RawBody)
_TOLD = msgspec.json.Decoder(Told)
Item = Told | str
"""An event, or what is wrong with it."""


@dataclass(slots=True)
class Batch:
    """The events of a body; `places` are their places in it, `rejected` the places of the others and why."""

    events: list[NewEvent] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    rejected: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads bodies for one tenant under one taxonomy; `redact` comes before anything keeps an event."""

    taxonomy: Taxonomy
    tenant: str = ""
    redact: Redact | None = None

    def json(self, body: bytes) -> Batch:
        """`{"events": [...]}`. Raises InvalidInput where the whole cannot be read."""
        return self._batch(_items(body))

    def lines(self, body: bytes) -> Batch:
        """An event a line; empty lines do not count."""
        lines = [line for line in body.split(b"\n") if line.strip()]
        return self._batch([_item(line) for line in lines])

    def event(self, told: Told) -> NewEvent:
        """Raises InvalidInput where it breaks a rule."""
        seconds(told.time)
        goal, probabilities = self._verdict(told)
        return NewEvent(
            told.stream,
            str(told.id),
            _prompt(told),
            told.response,
            goal,
            probabilities,
            told.time,
            None if told.session is None else str(told.session),
            told.model,
            _labels(told.labels) if told.labels else {},
            self.tenant,
        )

    def _batch(self, items: list[Item]) -> Batch:
        if len(items) > MOST_EVENTS:
            raise TooLarge(f"a request brings at most {MOST_EVENTS:,} events, got {len(items):,}; send several")
        batch = Batch()
        for place, item in enumerate(items):
            made = item if isinstance(item, str) else self._attempt(item)
            if isinstance(made, str):
                batch.rejected.append((place, made))
            else:
                batch.events.append(made)
                batch.places.append(place)
        return batch

    def _attempt(self, told: Told) -> NewEvent | str:
        try:
            return kept(self.event(told), self.redact)
        except InvalidInput as error:
            return str(error)

    def _verdict(self, told: Told) -> tuple[str | None, tuple[float, ...] | None]:
        if told.probabilities is None and (told.goal is None or told.goal in self.taxonomy.keys):
            return told.goal, None
        row = Row(0, {"goal": told.goal, "probabilities": told.probabilities})
        verdict = read_verdict(row, self.taxonomy, prompt_id="", response_id="")
        if verdict is None:
            return None, None
        return verdict.goal, verdict.probabilities if told.probabilities is not None else None


def unpacked(body: bytes, encoding: str, *, most: int) -> bytes:
    """The body without its compression. Raises TooLarge where it is larger, InvalidInput where it breaks off."""
    if encoding in ("", "identity"):
        return body
    unpacking, parts, size = zlib.decompressobj(_ANY_WINDOW), [], 0
    try:
        while body and not unpacking.eof:
            parts.append(unpacking.decompress(body, _CHUNK))
            size += len(parts[-1])
            if size > most:
                raise TooLarge(f"an unpacked body has at most {most:,} bytes; send several")
            body = unpacking.unconsumed_tail
        parts.append(unpacking.flush())
    except zlib.error as error:
        raise InvalidInput(f"the body is not {encoding}: {error}") from error
    if not unpacking.eof:
        raise InvalidInput(f"the body breaks off before its {encoding} ends")
    return b"".join(parts)


def _items(body: bytes) -> list[Item]:
    """All events at once where all are well formed, which most bodies are; else one by one."""
    try:
        return list(_BODY.decode(body).events)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return [_item(raw) for raw in _RAW_BODY.decode(body).events]
    except msgspec.ValidationError as error:
        raise InvalidInput(f'a body is {{"events": [...]}}: {error}') from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"the body is not JSON: {_in_words(error)}") from None


def _item(raw: bytes | msgspec.Raw) -> Item:
    try:
        return _TOLD.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _in_words(error)


def _in_words(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _prompt(told: Told) -> Prompt | None:
    turns = fields.messages(told.messages)
    if turns is not None:
        return Prompt(str(told.id), turns)
    return None if told.prompt is None else Prompt(str(told.id), Prompt.from_text(told.prompt, id="-").messages)


def _labels(labels: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode() for name, value in labels.items()
    }
