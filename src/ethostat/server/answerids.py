"""Ids of answers: one that is told twice, by the proxy and by OpenTelemetry, or by two spans, counts once.

Both know the id that the model server gave its response. It is taken where it can be one of its kind: long enough (some
servers draw theirs from a thousand), and not seen before of another call (others give the same one again and again).
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict

from ethostat.server.turns import name_of

_SHORTEST, _LONGEST = 20, 180
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}.*")
TRACE, SPAN, RESPONSE = "trace_id", "span_id", "response_id"
"""The labels of an event that say where it comes from."""


class AnswerIds:
    """The ids of the last `most` answers. May be asked from any thread."""

    def __init__(self, most: int = 20_000) -> None:
        self._most, self._lock = most, threading.Lock()
        self._calls: OrderedDict[str, str] = OrderedDict()
        self._ids: OrderedDict[str, str] = OrderedDict()

    def id_for(self, answer: str, call: str, response: str | None) -> str:
        """The id of an event: that of the `response` where it is of this `call` alone, else `answer`.

        What was once said of an answer is said again.
        """
        with self._lock:
            if answer not in self._ids:
                is_ours = response is not None and self._calls.setdefault(response, call) == call
                self._ids[answer] = response if is_ours and response is not None else answer
            for known in (self._ids, self._calls):
                while len(known) > self._most:
                    known.popitem(last=False)
            return self._ids[answer]


def response_id(value: object) -> str | None:
    """The id that a server gave its response, where it can be the only one of its kind.

    >>> response_id("chatcmpl-7QmVI15qgYVllxK0FtxVGG6ywfzaq"), response_id("chatcmpl-123")
    ('chatcmpl-7QmVI15qgYVllxK0FtxVGG6ywfzaq', None)
    """
    name = name_of(value)
    return name if name is not None and _SHORTEST <= len(name) <= _LONGEST else None


def trace_labels(traceparent: str | None) -> dict[str, str]:
    """The trace and span that a request belongs to, as labels. Source: www.w3.org/TR/trace-context."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    is_one = found is not None and found[1].strip("0") and found[2].strip("0")
    return {TRACE: found[1], SPAN: found[2]} if found is not None and is_one else {}
