"""Notice: an alert as it leaves the house, in the forms that targets take: JSON, a plain sentence, text for a chat."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from ethostat.errors import InvalidInput
from ethostat.monitor import Alert
from ethostat.visible import stripped

ALERT, TEST = "ethostat.alert", "ethostat.test"
_NEEDED = ("id", "kind", "tier", "message")
# What chat programs read as a mention, a link, a format or a tag, and what stands in its place.
_INERT = str.maketrans({"<": "‹", ">": "›", "@": "＠", "`": "ʼ", "*": "∗", "|": "¦", "~": "∼", "\\": "＼"})


@dataclass(frozen=True, slots=True)
class Notice:
    """What is sent: `type` is ALERT or TEST, `body` the alert as `Alert.to_dict` gives it, `time` when it was said.

    `link` is a page about it. Stream, labels, goals and ids of responses are text from elsewhere and may be hostile.
    """

    id: str
    type: str
    time: str
    body: Mapping[str, Any]
    stream: str = ""
    tenant: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    link: str | None = None

    @classmethod
    def of(
        cls,
        alert: Alert | Mapping[str, Any],
        *,
        stream: str = "",
        tenant: str = "",
        labels: Mapping[str, str] | None = None,
        link: str | None = None,
        now: float,
    ) -> Self:
        """An alert, or its `to_dict` as it was kept. `now`, in seconds since 1970, dates one that has no time."""
        body = alert.to_dict() if isinstance(alert, Alert) else alert
        if missing := [name for name in _NEEDED if not isinstance(body.get(name), str)]:
            raise InvalidInput(f"this is not an Alert: {missing[0]!r} is missing; pass what `ethostat monitor` printed")
        time = body.get("time") or _moment(now)
        named = stream or str(body.get("monitor", ""))
        return cls(body["id"], ALERT, time, body, named, tenant, dict(labels or {}), link)

    @classmethod
    def test(cls, target: str, *, now: float) -> Self:
        """A message that only asks whether it arrives."""
        time = _moment(now)
        message = f"test message from ethostat to {stripped(target, most=80)}: alerts will arrive here"
        body = {"id": f"test/{now:.6f}", "kind": "test", "tier": "test", "time": time, "message": message}
        return cls(body["id"], TEST, time, body)

    @property
    def message_id(self) -> str:
        """The same at every attempt, without a character that could mean something to a receiver."""
        names = json.dumps([self.type, self.tenant, self.stream, self.id])
        return "msg_" + hashlib.sha256(names.encode()).hexdigest()[:32]

    @property
    def payload(self) -> dict[str, Any]:
        """What webhooks and commands get: `type`, `timestamp` and `data` (Standard Webhooks, section Payload)."""
        about = {"stream": self.stream, "tenant": self.tenant, "labels": dict(self.labels), "link": self.link}
        return {"type": self.type, "timestamp": self.time, "data": {**about, "alert": dict(self.body)}}

    @property
    def json(self) -> bytes:
        """The payload in ASCII: whatever a name holds stands escaped."""
        return json.dumps(self.payload, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()

    @property
    def title(self) -> str:
        """A few words on one line, inert in a chat."""
        if self.type == TEST:
            return "ethostat: test message"
        return f"ethostat {inert(self.body['tier'])}: {inert(self.body['kind'])} on {inert(self.stream, most=80)}"

    @property
    def text(self) -> str:
        """Some lines for people, inert in a chat."""
        lines = [inert(self.body["message"], most=1000)]
        if labels := ", ".join(f"{inert(key, most=40)}={inert(self.labels[key], most=80)}" for key in self.labels):
            lines.append(labels[:500])
        for name, head in (("reason", "why"), ("promise", "promise")):
            if value := self.body.get(name):
                lines.append(f"{head}: {inert(str(value), most=300)}")
        if self.link:
            lines.append(self.link)
        return "\n".join(lines)


def inert(text: str, *, most: int | None = None) -> str:
    """The text on one line so that no chat program makes a mention, a link, a format or a tag of it.

    >>> inert("<!channel> [free](https://evil.example) @everyone")
    '‹!channel› [free] (https:／／evil.example) ＠everyone'
    """
    plain = stripped(text, most=most).translate(_INERT)
    return plain.replace("](", "] (").replace("][", "] [").replace("://", ":／／")


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
