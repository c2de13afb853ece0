"""What goes into the ledger and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ethostat.errors import InvalidInput
from ethostat.response import Prompt, Verdict

LONGEST_NAME = 200
"""Characters of a stream, an id, a session, a model, a label."""
MOST_LABELS = 32
_NAMES = ("stream", "id", "session", "model", "tenant")
_NO_LABELS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class NewEvent:
    """One response of a model in a stream, as it was told: with its verdict, or with a text to classify.

    `id` names it within its stream: told again, it counts once. `goal` is the key of a goal; where there are
    `probabilities` it is the most probable one. `time` is ISO 8601. Raises InvalidInput where a name is empty or longer
    than 200 characters, or where there is neither a goal nor a response.
    """

    stream: str
    id: str
    prompt: Prompt | None = None
    response: str | None = None
    goal: str | None = None
    probabilities: tuple[float, ...] | None = None
    time: str | None = None
    session: str | None = None
    model: str | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: _NO_LABELS)
    tenant: str = ""

    def __post_init__(self) -> None:
        if not self.stream or not self.id:
            raise InvalidInput(f"an event needs a stream and an id, got {self.stream[:40]!r} and {self.id[:40]!r}")
        for name in _NAMES:
            value = getattr(self, name)
            if value is not None and len(value) > LONGEST_NAME:
                raise InvalidInput(f"`{name}` must have at most {LONGEST_NAME} characters, got {len(value)}")
        if self.response is None and self.goal is None:
            raise InvalidInput("an event needs a `response` to classify, or its verdict: `goal` or `probabilities`")
        if self.labels:
            _check_labels(self.labels)

    @property
    def weight(self) -> int:
        """About how many bytes it takes."""
        said = 0 if self.response is None else len(self.response)
        asked = 0 if self.prompt is None else sum(len(message.content) for message in self.prompt.messages)
        return 400 + said + asked


def _check_labels(labels: Mapping[str, str]) -> None:
    if len(labels) > MOST_LABELS:
        raise InvalidInput(f"an event has at most {MOST_LABELS} labels, got {len(labels)}")
    for name, value in labels.items():
        if not name or max(len(name), len(value)) > LONGEST_NAME:
            raise InvalidInput(f"a label's name and value have 1 to {LONGEST_NAME} characters, got {name[:40]!r}")


@dataclass(frozen=True, slots=True)
class Accepted:
    """How many events are on disk now, how many were there before, and which were refused: place in the list, why."""

    accepted: int
    duplicates: int
    refused: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a list of events: the places of those that were there already, and of those refused, with why.

    `begins` says that streams were made which nobody follows yet.
    """

    duplicates: frozenset[int] = frozenset()
    refused: Mapping[int, str] = field(default_factory=dict)
    begins: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """An event as it lies in the log.

    `seq` counts from 1 within its stream; `received` is in seconds since 1970. It waits to be classified where it has
    neither a goal nor a `failure`. `erased` says that it had a text that is no longer kept.
    """

    stream_key: int
    seq: int
    id: str
    received: float
    time: str | None
    session: str | None
    model: str | None
    labels: Mapping[str, str]
    prompt: Prompt | None
    response: str | None
    goal: str | None
    probabilities: tuple[float, ...] | None
    typicality: float | None
    classifier: str | None
    failure: str | None
    erased: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """What classification came to: a verdict, or in its place why there is none. `erase` drops the texts."""

    stream_key: int
    seq: int
    verdict: Verdict | None
    classifier: str
    failure: str | None = None
    erase: bool = True


@dataclass(frozen=True, slots=True)
class Position:
    """How far a stream has been followed: all events up to `cursor`, and what came of them.

    `version` goes up with each write; `monitor` is a Monitor's dict, None where nothing was followed yet; `last` is the
    number of the newest event.
    """

    stream_key: int
    tenant: str
    stream: str
    version: int
    cursor: int
    last: int
    monitor: Mapping[str, Any] | None
    counts: Mapping[str, int]
    failures: int


@dataclass(frozen=True, slots=True)
class Minute:
    """What was followed of one minute: its start in seconds since 1970, counts by goal, and the evidence at its end."""

    start: int
    counts: Mapping[str, int]
    failures: int
    evidence: float | None
    threshold: float | None


@dataclass(frozen=True, slots=True)
class Advance:
    """A step of a stream from `version` on: the new cursor, and all that changes with it, to be written together.

    `alerts` are Alert dicts; `deliveries` are pairs of an alert's id and a target; `counts` and `failures` are totals,
    `minutes` what is to be added to each. `tick` is the time that the monitor was told in place of events.
    """

    stream_key: int
    version: int
    cursor: int
    monitor: Mapping[str, Any]
    counts: Mapping[str, int]
    failures: int
    alerts: tuple[Mapping[str, Any], ...] = ()
    deliveries: tuple[tuple[str, str], ...] = ()
    minutes: tuple[Minute, ...] = ()
    tick: str | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream as people see it. `waiting` events are in the log and not yet followed, since `waits_since`."""

    tenant: str
    name: str
    last: int
    cursor: int
    monitor: Mapping[str, Any] | None
    counts: Mapping[str, int]
    failures: int
    updated: float | None
    waits_since: float | None

    @property
    def waiting(self) -> int:
        """Events that are not followed yet."""
        return self.last - self.cursor


@dataclass(frozen=True, slots=True)
class KeptAlert:
    """An Alert and what people did with it. `number` orders alerts; `created` is in seconds since 1970."""

    number: int
    id: str
    tenant: str
    stream: str
    tier: str
    kind: str
    created: float
    body: Mapping[str, Any]
    acknowledged_by: str | None
    acknowledged_at: float | None
    expected: bool


@dataclass(frozen=True, slots=True)
class Intervention:
    """What somebody did to a monitor after event number `cursor`: its kind, and what it was given."""

    stream_key: int
    cursor: int
    kind: str
    body: Mapping[str, Any]
    by: str | None
    time: float


@dataclass(frozen=True, slots=True)
class Deployment:
    """A declared version of a model; `time` is in seconds since 1970, `streams` those that began an epoch with it."""

    id: int
    tenant: str
    version: str
    note: str | None
    time: float
    by: str | None
    streams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Edition:
    """Goals that verdicts are given in, from when it was published until the next: number, taxonomy and its hash.

    `baseline` is what a stream is held against that meets them. Verdicts of two editions are never counted together.
    """

    number: int
    hash: str
    taxonomy: Mapping[str, Any]
    baseline: Mapping[str, Any]
